import { SecurityProfileType } from '../../../../src/proto/enums';
import {
  apparmorOption,
  containerSeccomp,
  sandboxSeccomp,
  seccompOption,
  seccompProfileFault,
  selinuxOptions,
  type SeccompChoice,
} from '../../../../src/translate/shared/security-options';
import { codeAndField, thrownBy } from '../../support/errors';
import { decoded, unknownEnum } from '../../support/wire';

type ContainerContext = Parameters<typeof decoded<'LinuxContainerSecurityContext'>>[1];
const container = (given: ContainerContext) => decoded('LinuxContainerSecurityContext', given);
const { RuntimeDefault, Unconfined, Localhost } = SecurityProfileType;

describe('seccomp', () => {
  const load = { kind: 'load', path: '/p.json', field: 'c.seccomp' };

  it.each<{ desc: string; given: ContainerContext; choice: object }>([
    { desc: 'nil means unconfined for a container', given: {}, choice: { kind: 'unconfined' } },
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
      desc: 'privileged has priority',
      given: { privileged: true, seccomp: { profile_type: RuntimeDefault } },
      choice: { kind: 'unconfined' },
    },
  ])('is set for a container: $desc', ({ given, choice }) =>
    expect(containerSeccomp(container(given), 'c')).toEqual(choice),
  );

  it.each([
    { desc: "nil means the Engine's default for a sandbox", given: {}, choice: { kind: 'engine-default' } },
    { desc: 'Unconfined', given: { seccomp: { profile_type: Unconfined } }, choice: { kind: 'unconfined' } },
    {
      desc: 'Localhost',
      given: { seccomp: { profile_type: Localhost, localhost_ref: '/p.json' } },
      choice: load,
    },
  ])('is set for a sandbox: $desc', ({ given, choice }) =>
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
  ])('is set as an option: $desc', ({ choice, options }) =>
    expect(seccompOption(choice, '{"a":1}')).toEqual(options),
  );

  it.each<{ desc: string; path: string; choice: object }>([
    { desc: 'unconfined', path: 'unconfined', choice: { kind: 'unconfined' } },
    { desc: "the runtime's own profile", path: 'runtime/default', choice: { kind: 'engine-default' } },
    { desc: "Docker's own profile", path: 'docker/default', choice: { kind: 'engine-default' } },
    { desc: 'a file', path: 'localhost//p.json', choice: load },
  ])('accepts the text of kubelets up to 1.21: $desc', ({ path, choice }) => {
    expect(containerSeccomp(container({ seccomp_profile_path: path }), 'c')).toEqual(choice);
    const sandbox = decoded('LinuxSandboxSecurityContext', { seccomp_profile_path: path });
    expect(sandboxSeccomp(sandbox, 'c')).toEqual(choice);
  });

  it('prefers the message to the text', () => {
    const given = { seccomp: { profile_type: RuntimeDefault }, seccomp_profile_path: 'unconfined' };
    expect(containerSeccomp(container(given), 'c')).toEqual({ kind: 'engine-default' });
  });

  it.each(['localhost/p.json', 'localhost/', 'other/default', 'Unconfined'])(
    'refuses the text %s',
    (path) => {
      const given = container({ seccomp_profile_path: path });
      expect(codeAndField(() => containerSeccomp(given, 'c.seccomp'))).toBe(
        'INVALID_ARGUMENT c.seccomp.seccomp_profile_path',
      );
    },
  );
});

describe('seccompProfileFault', () => {
  const NAMES = ['ALLOW', 'ERRNO', 'KILL', 'KILL_PROCESS', 'KILL_THREAD', 'LOG', 'NOTIFY', 'TRACE', 'TRAP'];

  it.each(NAMES.map((name) => `SCMP_ACT_${name}`))('accepts a profile with the action %s', (action) => {
    expect(seccompProfileFault({ defaultAction: action })).toBeUndefined();
    const syscalls = [{ names: ['read'], action }];
    expect(seccompProfileFault({ defaultAction: 'SCMP_ACT_ERRNO', syscalls })).toBeUndefined();
  });

  const defaultAction = 'SCMP_ACT_ALLOW';
  it.each<{ profile: unknown; fault: string }>([
    { profile: null, fault: 'is not a JSON object' },
    { profile: [], fault: 'is not a JSON object' },
    { profile: 'SCMP_ACT_ALLOW', fault: 'is not a JSON object' },
    { profile: {}, fault: 'has no defaultAction that libseccomp knows' },
    { profile: { defaultAction: 'ALLOW' }, fault: 'has no defaultAction that libseccomp knows' },
    { profile: { defaultAction: '' }, fault: 'has no defaultAction that libseccomp knows' },
    { profile: { defaultAction, syscalls: {} }, fault: 'has syscalls that are not a list' },
    {
      profile: { defaultAction, syscalls: [{ action: defaultAction }, { action: 'KILL' }] },
      fault: 'has no action that libseccomp knows in syscalls[1]',
    },
    {
      profile: { defaultAction, syscalls: [null] },
      fault: 'has no action that libseccomp knows in syscalls[0]',
    },
    {
      profile: { defaultAction, syscalls: [[]] },
      fault: 'has no action that libseccomp knows in syscalls[0]',
    },
  ])('$profile $fault', ({ profile, fault }) => expect(seccompProfileFault(profile)).toBe(fault));
});

describe('apparmor', () => {
  type Profile = Parameters<typeof decoded<'SecurityProfile'>>[1] | null;
  const option = (profile: Profile, deprecated: string, enabled: boolean) =>
    apparmorOption(
      profile === null ? null : decoded('SecurityProfile', profile),
      deprecated,
      'c.apparmor',
      enabled,
    );

  it.each<{ desc: string; profile: Profile; deprecated: string; option: string[] }>([
    { desc: 'nil means the Engine’s default', profile: null, deprecated: '', option: [] },
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
      desc: 'the new field has priority',
      profile: { profile_type: RuntimeDefault },
      deprecated: 'localhost/other',
      option: [],
    },
  ])('is set: $desc', ({ profile, deprecated, option: expected }) =>
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

  it('needs no option for unconfined if AppArmor is off', () => {
    expect(option({ profile_type: Unconfined }, '', false)).toEqual([]);
  });

  it('is refused, with the name of the profile, if AppArmor is off', () => {
    expect(thrownBy(() => option(null, 'localhost/mine', false))).toContain('"mine"');
  });
});

describe('selinuxOptions', () => {
  it.each([
    { desc: 'nil', given: null, options: [] },
    { desc: 'empty', given: {}, options: [] },
    {
      desc: 'some fields',
      given: { type: 't', level: 's0:c1,c2' },
      options: ['label=type:t', 'label=level:s0:c1,c2'],
    },
    {
      desc: 'all fields',
      given: { user: 'u', role: 'r', type: 't', level: 's0-s15:c0.c1023' },
      options: ['label=user:u', 'label=role:r', 'label=type:t', 'label=level:s0-s15:c0.c1023'],
    },
  ])('returns the options of $desc', ({ given, options }) =>
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
