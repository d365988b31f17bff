import { toEngineGroups, toEngineUser } from '../../../src/translate/user';
import { codeAndField } from '../support/errors';
import { decoded, unknownEnum } from '../support/wire';

type ContainerContext = Parameters<typeof decoded<'LinuxContainerSecurityContext'>>[1];
const container = (given: ContainerContext) => decoded('LinuxContainerSecurityContext', given);
const value = (number: number) => ({ value: number });

describe('toEngineUser', () => {
  it.each<{ desc: string; given: ContainerContext; user: string | undefined }>([
    { desc: 'nothing: the image decides', given: {}, user: undefined },
    { desc: 'a uid', given: { run_as_user: value(1000) }, user: '1000' },
    { desc: 'root, which is not nothing', given: { run_as_user: value(0) }, user: '0' },
    { desc: 'uid and gid', given: { run_as_user: value(1000), run_as_group: value(0) }, user: '1000:0' },
    { desc: 'a name', given: { run_as_username: 'www' }, user: 'www' },
    { desc: 'a name and a gid', given: { run_as_username: 'www', run_as_group: value(5) }, user: 'www:5' },
    { desc: 'the largest id', given: { run_as_user: value(2 ** 32 - 2) }, user: '4294967294' },
  ])('$desc', ({ given, user }) => expect(toEngineUser(container(given), 'c')).toBe(user));

  it.each<{ desc: string; given: ContainerContext; error: string }>([
    {
      desc: 'a group without a user',
      given: { run_as_group: value(5) },
      error: 'INVALID_ARGUMENT c.run_as_group',
    },
    {
      desc: 'group 0 without a user',
      given: { run_as_group: value(0) },
      error: 'INVALID_ARGUMENT c.run_as_group',
    },
    { desc: 'a negative uid', given: { run_as_user: value(-1) }, error: 'INVALID_ARGUMENT c.run_as_user' },
    {
      desc: 'a uid and a name',
      given: { run_as_user: value(7), run_as_username: 'www' },
      error: 'INVALID_ARGUMENT c.run_as_username',
    },
    {
      desc: 'a name that smuggles a group in',
      given: { run_as_username: 'www:0' },
      error: 'INVALID_ARGUMENT c.run_as_username',
    },
    {
      desc: 'the kernel’s "no id"',
      given: { run_as_user: value(2 ** 32 - 1) },
      error: 'INVALID_ARGUMENT c.run_as_user',
    },
    {
      desc: 'a negative gid',
      given: { run_as_user: value(1), run_as_group: value(-1) },
      error: 'INVALID_ARGUMENT c.run_as_group',
    },
  ])('refuses $desc', ({ given, error }) =>
    expect(codeAndField(() => toEngineUser(container(given), 'c'))).toBe(error),
  );

  it('a sandbox has no user name', () => {
    const sandbox = decoded('LinuxSandboxSecurityContext', { run_as_user: value(1), run_as_group: value(2) });
    expect(toEngineUser(sandbox, 'c')).toBe('1:2');
  });
});

describe('toEngineGroups', () => {
  it('passes them on', () => {
    expect(toEngineGroups(container({ supplemental_groups: [0, 5, 2000] }), 'c')).toEqual(['0', '5', '2000']);
  });

  it.each<{ desc: string; given: ContainerContext; error: string }>([
    {
      desc: 'a negative id',
      given: { supplemental_groups: [1, -1] },
      error: 'INVALID_ARGUMENT c.supplemental_groups[1]',
    },
    {
      desc: 'Strict',
      given: { supplemental_groups_policy: 1 },
      error: 'UNIMPLEMENTED c.supplemental_groups_policy',
    },
    {
      desc: 'an unknown policy',
      given: { supplemental_groups_policy: unknownEnum(9) },
      error: 'INVALID_ARGUMENT c.supplemental_groups_policy',
    },
  ])('refuses $desc', ({ given, error }) =>
    expect(codeAndField(() => toEngineGroups(container(given), 'c'))).toBe(error),
  );
});
