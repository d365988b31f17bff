import { selinuxOptions } from '../../../../src/translate/shared/selinux';
import { codeAndField } from '../../support/errors';
import { decoded } from '../../support/wire';

describe('selinuxOptions', () => {
  it.each([
    { desc: 'nil', given: null, options: [] },
    { desc: 'empty', given: {}, options: [] },
    {
      desc: 'some',
      given: { type: 't', level: 's0:c1,c2' },
      options: ['label=type:t', 'label=level:s0:c1,c2'],
    },
    {
      desc: 'all',
      given: { user: 'u', role: 'r', type: 't', level: 's0-s15:c0.c1023' },
      options: ['label=user:u', 'label=role:r', 'label=type:t', 'label=level:s0-s15:c0.c1023'],
    },
  ])('$desc', ({ given, options }) =>
    expect(selinuxOptions(given && decoded('SELinuxOption', given), 'c')).toEqual(options),
  );

  it.each([
    { part: 'level', value: 'gibberish' },
    { part: 'level', value: 's0,c1' },
    { part: 'level', value: 's0:c1;c2' },
    { part: 'type', value: 'a b' },
    { part: 'role', value: 'r:r' },
  ])('refuses $value as $part', ({ part, value }) =>
    expect(codeAndField(() => selinuxOptions(decoded('SELinuxOption', { [part]: value }), 'c'))).toBe(
      `INVALID_ARGUMENT c.${part}`,
    ),
  );
});
