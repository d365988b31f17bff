import { SecurityProfileType } from '../../../src/proto/enums';
import * as security from '../../../src/translate/security';
import { codeAndField, thrownBy } from '../support/errors';
import { decoded, unknownEnum } from '../support/wire';

type ContainerContext = Parameters<typeof decoded<'LinuxContainerSecurityContext'>>[1];
const container = (given: ContainerContext) => decoded('LinuxContainerSecurityContext', given);
const { RuntimeDefault, Unconfined, Localhost } = SecurityProfileType;
const value = (number: number) => ({ value: number });

describe('toEngineUser', () => {
  it.each<{ desc: string; given: ContainerContext; user: string | undefined }>([
    { desc: 'nothing: the image decides', given: {}, user: undefined },
    { desc: 'a uid', given: { run_as_user: value(1000) }, user: '1000' },
    { desc: 'root, which is not nothing', given: { run_as_user: value(0) }, user: '0' },
    { desc: 'uid and gid', given: { run_as_user: value(1000), run_as_group: value(0) }, user: '1000:0' },
    { desc: 'a name', given: { run_as_username: 'www' }, user: 'www' },
    { desc: 'a name and a gid', given: { run_as_username: 'www', run_as_group: value(5) }, user: 'www:5' },
    { desc: 'both: the uid wins', given: { run_as_user: value(7), run_as_username: 'www' }, user: '7' },
    { desc: 'the largest id', given: { run_as_user: value(2 ** 32 - 2) }, user: '4294967294' },
  ])('$desc', ({ given, user }) => expect(security.toEngineUser(container(given), 'c')).toBe(user));

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
    expect(codeAndField(() => security.toEngineUser(container(given), 'c'))).toBe(error),
  );

  it('a sandbox has no user name', () => {
    const sandbox = decoded('LinuxSandboxSecurityContext', { run_as_user: value(1), run_as_group: value(2) });
    expect(security.toEngineUser(sandbox, 'c')).toBe('1:2');
  });
});

describe('toEngineGroups', () => {
  it('passes them on', () => {
    expect(security.toEngineGroups(container({ supplemental_groups: [0, 5, 2000] }), 'c')).toEqual([
      '0',
      '5',
      '2000',
    ]);
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
    expect(codeAndField(() => security.toEngineGroups(container(given), 'c'))).toBe(error),
  );
});

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
  ])('$desc', ({ given, choice }) =>
    expect(security.containerSeccomp(container(given), 'c')).toEqual(choice),
  );

  it.each([
    { desc: "nil is the Engine's default for a sandbox", given: {}, choice: { kind: 'engine-default' } },
    { desc: 'Unconfined', given: { seccomp: { profile_type: Unconfined } }, choice: { kind: 'unconfined' } },
    {
      desc: 'Localhost',
      given: { seccomp: { profile_type: Localhost, localhost_ref: '/p.json' } },
      choice: load,
    },
  ])('sandbox: $desc', ({ given, choice }) =>
    expect(security.sandboxSeccomp(decoded('LinuxSandboxSecurityContext', given), 'c')).toEqual(choice),
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
    expect(codeAndField(() => security.containerSeccomp(container(given), 'c'))).toBe(error),
  );

  it.each<{ desc: string; choice: security.SeccompChoice; options: string[] }>([
    { desc: 'default', choice: { kind: 'engine-default' }, options: [] },
    { desc: 'unconfined', choice: { kind: 'unconfined' }, options: ['seccomp=unconfined'] },
    { desc: 'a profile', choice: { kind: 'load', path: '/p', field: 'f' }, options: ['seccomp={"a":1}'] },
  ])('option: $desc', ({ choice, options }) =>
    expect(security.seccompOption(choice, '{"a":1}')).toEqual(options),
  );
});

describe('apparmor', () => {
  type Profile = Parameters<typeof decoded<'SecurityProfile'>>[1] | null;
  const option = (profile: Profile, deprecated: string, enabled: boolean) =>
    security.apparmorOption(
      profile === null ? null : decoded('SecurityProfile', profile),
      deprecated,
      'c.apparmor',
      enabled,
    );

  it.each<{ desc: string; profile: Profile; deprecated: string; option: string[] }>([
    { desc: 'nil: the Engine’s default', profile: null, deprecated: '', option: [] },
    { desc: 'old: runtime/default', profile: null, deprecated: 'runtime/default', option: [] },
    { desc: 'old: unconfined', profile: null, deprecated: 'unconfined', option: ['apparmor=unconfined'] },
    { desc: 'old: localhost', profile: null, deprecated: 'localhost/mine', option: ['apparmor=mine'] },
    { desc: 'new: RuntimeDefault', profile: { profile_type: RuntimeDefault }, deprecated: '', option: [] },
    {
      desc: 'new: Unconfined',
      profile: { profile_type: Unconfined },
      deprecated: '',
      option: ['apparmor=unconfined'],
    },
    {
      desc: 'new: Localhost',
      profile: { profile_type: Localhost, localhost_ref: 'mine' },
      deprecated: '',
      option: ['apparmor=mine'],
    },
    {
      desc: 'new: Localhost with the old prefix',
      profile: { profile_type: Localhost, localhost_ref: 'localhost/mine' },
      deprecated: '',
      option: ['apparmor=mine'],
    },
    {
      desc: 'the new field wins',
      profile: { profile_type: RuntimeDefault },
      deprecated: 'localhost/other',
      option: [],
    },
  ])('$desc', ({ profile, deprecated, option: expected }) =>
    expect(option(profile, deprecated, true)).toEqual(expected),
  );

  it.each<{ desc: string; profile: Profile; deprecated: string; enabled: boolean; error: string }>([
    {
      desc: 'an unknown old form',
      profile: null,
      deprecated: 'mine',
      enabled: true,
      error: 'INVALID_ARGUMENT c.apparmor_profile',
    },
    {
      desc: 'Localhost without a name',
      profile: { profile_type: Localhost },
      deprecated: '',
      enabled: true,
      error: 'INVALID_ARGUMENT c.apparmor.localhost_ref',
    },
    {
      desc: 'an unknown type',
      profile: { profile_type: unknownEnum(3) },
      deprecated: '',
      enabled: true,
      error: 'INVALID_ARGUMENT c.apparmor.profile_type',
    },
    {
      desc: 'a profile where AppArmor is off',
      profile: { profile_type: Localhost, localhost_ref: 'mine' },
      deprecated: '',
      enabled: false,
      error: 'FAILED_PRECONDITION c.apparmor',
    },
  ])('refuses $desc', ({ profile, deprecated, enabled, error }) =>
    expect(codeAndField(() => option(profile, deprecated, enabled))).toBe(error),
  );

  it('unconfined where AppArmor is off needs no option', () => {
    expect(option({ profile_type: Unconfined }, '', false)).toEqual([]);
  });

  it('tells the missing profile by name', () => {
    expect(thrownBy(() => option(null, 'localhost/mine', false))).toContain('"mine"');
  });
});

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
      given: { user: 'u', role: 'r', type: 't', level: 'l' },
      options: ['label=user:u', 'label=role:r', 'label=type:t', 'label=level:l'],
    },
  ])('$desc', ({ given, options }) =>
    expect(security.selinuxOptions(given && decoded('SELinuxOption', given))).toEqual(options),
  );
});
