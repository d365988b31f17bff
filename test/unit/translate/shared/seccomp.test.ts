import { SecurityProfileType } from '../../../../src/proto/enums';
import {
  containerSeccomp,
  sandboxSeccomp,
  seccompOption,
  type SeccompChoice,
} from '../../../../src/translate/shared/seccomp';
import { codeAndField } from '../../support/errors';
import { decoded, unknownEnum } from '../../support/wire';

type ContainerContext = Parameters<typeof decoded<'LinuxContainerSecurityContext'>>[1];
const container = (given: ContainerContext) => decoded('LinuxContainerSecurityContext', given);
const { RuntimeDefault, Unconfined, Localhost } = SecurityProfileType;

describe('seccomp', () => {
  const load = { kind: 'load', path: '/p.json', field: 'c.seccomp' };

  it.each<{ desc: string; given: ContainerContext; choice: object }>([
    { desc: 'nil is unconfined for a container', given: {}, choice: { kind: 'unconfined' } },
    {
      desc: 'RuntimeDefault',
      given: { seccomp: { profile_type: RuntimeDefault } },
      choice: { kind: 'engine-default' },
    },
    { desc: 'Unconfined', given: { seccomp: { profile_type: Unconfined } }, choice: { kind: 'unconfined' } },
    {
      desc: 'Localhost',
      given: { seccomp: { profile_type: Localhost, localhost_ref: '/p.json' } },
      choice: load,
    },
    {
      desc: 'privileged wins',
      given: { privileged: true, seccomp: { profile_type: RuntimeDefault } },
      choice: { kind: 'unconfined' },
    },
  ])('$desc', ({ given, choice }) => expect(containerSeccomp(container(given), 'c')).toEqual(choice));

  it.each([
    { desc: "nil is the Engine's default for a sandbox", given: {}, choice: { kind: 'engine-default' } },
    { desc: 'Unconfined', given: { seccomp: { profile_type: Unconfined } }, choice: { kind: 'unconfined' } },
    {
      desc: 'Localhost',
      given: { seccomp: { profile_type: Localhost, localhost_ref: '/p.json' } },
      choice: load,
    },
  ])('sandbox: $desc', ({ given, choice }) =>
    expect(sandboxSeccomp(decoded('LinuxSandboxSecurityContext', given), 'c')).toEqual(choice),
  );

  it.each<{ desc: string; given: ContainerContext; error: string }>([
    {
      desc: 'a relative path',
      given: { seccomp: { profile_type: Localhost, localhost_ref: 'p.json' } },
      error: 'INVALID_ARGUMENT c.seccomp.localhost_ref',
    },
    {
      desc: 'no path',
      given: { seccomp: { profile_type: Localhost } },
      error: 'INVALID_ARGUMENT c.seccomp.localhost_ref',
    },
    {
      desc: 'an unknown type',
      given: { seccomp: { profile_type: unknownEnum(7) } },
      error: 'INVALID_ARGUMENT c.seccomp.profile_type',
    },
  ])('refuses $desc', ({ given, error }) =>
    expect(codeAndField(() => containerSeccomp(container(given), 'c'))).toBe(error),
  );

  it.each<{ desc: string; choice: SeccompChoice; options: string[] }>([
    { desc: 'default', choice: { kind: 'engine-default' }, options: [] },
    { desc: 'unconfined', choice: { kind: 'unconfined' }, options: ['seccomp=unconfined'] },
    { desc: 'a profile', choice: { kind: 'load', path: '/p', field: 'f' }, options: ['seccomp={"a":1}'] },
  ])('option: $desc', ({ choice, options }) => expect(seccompOption(choice, '{"a":1}')).toEqual(options));
});
