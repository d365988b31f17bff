import { failedPrecondition, invalidArgument, unsupported } from '../lib/errors';
import type { cri, Decoded } from '../proto';
import { SecurityProfileType, SupplementalGroupsPolicy } from '../proto/enums';
import { absolutePath, integer, nonEmpty, oneOf, withoutNul } from './validate';

type Profile = Decoded<cri.ISecurityProfile>;
type SandboxContext = Decoded<cri.ILinuxSandboxSecurityContext>;
type ContainerContext = Decoded<cri.ILinuxContainerSecurityContext>;

const MAX_ID = 2 ** 32 - 2;
const PROFILE_TYPES = [
  SecurityProfileType.RuntimeDefault,
  SecurityProfileType.Unconfined,
  SecurityProfileType.Localhost,
];

/** `User` of the Engine: `uid[:gid]`, a name, or undefined for the image's. */
export function toEngineUser(
  context: Pick<ContainerContext, 'run_as_user' | 'run_as_group'> & { readonly run_as_username?: string },
  field: string,
): string | undefined {
  const username = withoutNul(context.run_as_username ?? '', `${field}.run_as_username`);
  const group = context.run_as_group;
  if (context.run_as_user === null && username === '') {
    // The CRI demands an error here: a group without a user would silently change the image's user.
    if (group !== null)
      throw invalidArgument(`${field}.run_as_group`, 'needs run_as_user or run_as_username');
    return undefined;
  }
  const user =
    context.run_as_user === null ? username : String(id(context.run_as_user.value, `${field}.run_as_user`));
  return group === null ? user : `${user}:${id(group.value, `${field}.run_as_group`)}`;
}

export function toEngineGroups(context: SandboxContext | ContainerContext, field: string): string[] {
  const policies = [SupplementalGroupsPolicy.Merge, SupplementalGroupsPolicy.Strict];
  const policy = context.supplemental_groups_policy;
  oneOf(policy, policies, `${field}.supplemental_groups_policy`, 'Merge or Strict');
  if (policy === SupplementalGroupsPolicy.Strict) {
    throw unsupported(`${field}.supplemental_groups_policy`, 'Strict is not offered yet (Status says so)');
  }
  return context.supplemental_groups.map((group, index) =>
    String(id(group, `${field}.supplemental_groups[${index}]`)),
  );
}

/** Which seccomp profile the Engine is to use; `load` names a file whose text belongs into SecurityOpt. */
export type SeccompChoice =
  | { readonly kind: 'engine-default' }
  | { readonly kind: 'unconfined' }
  | { readonly kind: 'load'; readonly path: string; readonly field: string };

/** nil means unconfined for a container (cri-surface.md 3.3). */
export function containerSeccomp(context: ContainerContext, field: string): SeccompChoice {
  if (context.privileged) return { kind: 'unconfined' };
  return (
    profileChoice(context.seccomp, context.seccomp_profile_path, `${field}.seccomp`) ?? { kind: 'unconfined' }
  );
}

/** The pause process needs nothing that the Engine's default denies: nil stays with the default. */
export function sandboxSeccomp(context: SandboxContext, field: string): SeccompChoice {
  return (
    profileChoice(context.seccomp, context.seccomp_profile_path, `${field}.seccomp`) ?? {
      kind: 'engine-default',
    }
  );
}

function profileChoice(
  profile: Profile | null,
  deprecatedPath: string,
  field: string,
): SeccompChoice | undefined {
  if (profile === null) return deprecatedChoice(deprecatedPath, field);
  oneOf(
    profile.profile_type,
    PROFILE_TYPES,
    `${field}.profile_type`,
    'RuntimeDefault, Unconfined or Localhost',
  );
  if (profile.profile_type === SecurityProfileType.Unconfined) return { kind: 'unconfined' };
  if (profile.profile_type === SecurityProfileType.RuntimeDefault) return { kind: 'engine-default' };
  return { kind: 'load', path: absolutePath(profile.localhost_ref, `${field}.localhost_ref`), field };
}

/** The string that kubelets up to 1.21 send instead of the message. */
function deprecatedChoice(name: string, field: string): SeccompChoice | undefined {
  if (name === '') return undefined;
  if (name === 'unconfined') return { kind: 'unconfined' };
  if (name === 'runtime/default' || name === 'docker/default') return { kind: 'engine-default' };
  if (!name.startsWith('localhost/')) {
    throw invalidArgument(`${field}_profile_path`, `${JSON.stringify(name)} is no seccomp profile`);
  }
  return {
    kind: 'load',
    path: absolutePath(name.slice('localhost/'.length), `${field}_profile_path`),
    field,
  };
}

/** @param profileText of the file that a `load` choice named. */
export function seccompOption(choice: SeccompChoice, profileText: string | undefined): string[] {
  if (choice.kind === 'engine-default') return [];
  if (choice.kind === 'unconfined') return ['seccomp=unconfined'];
  return [`seccomp=${profileText ?? ''}`];
}

/** @param enabled whether the Engine enforces AppArmor (`SecurityOptions` of /info). */
export function apparmorOption(
  profile: Profile | null,
  deprecatedName: string,
  field: string,
  enabled: boolean,
): string[] {
  const name = apparmorName(profile, deprecatedName, field);
  if (name === undefined) return [];
  if (!enabled && name !== 'unconfined') {
    throw failedPrecondition(
      `${field}: profile "${name}" is asked for, but AppArmor is not enabled on this node`,
    );
  }
  return enabled ? [`apparmor=${name}`] : [];
}

function apparmorName(profile: Profile | null, deprecatedName: string, field: string): string | undefined {
  if (profile !== null) {
    oneOf(
      profile.profile_type,
      PROFILE_TYPES,
      `${field}.profile_type`,
      'RuntimeDefault, Unconfined or Localhost',
    );
    if (profile.profile_type === SecurityProfileType.RuntimeDefault) return undefined;
    if (profile.profile_type === SecurityProfileType.Unconfined) return 'unconfined';
    return nonEmpty(profile.localhost_ref, `${field}.localhost_ref`).replace(/^localhost\//, '');
  }
  if (deprecatedName === '' || deprecatedName === 'runtime/default') return undefined;
  if (deprecatedName === 'unconfined') return 'unconfined';
  if (deprecatedName.startsWith('localhost/')) return deprecatedName.slice('localhost/'.length);
  throw invalidArgument(
    `${field}_profile`,
    `${JSON.stringify(deprecatedName)} is neither runtime/default, unconfined nor localhost/NAME`,
  );
}

export function selinuxOptions(options: Decoded<cri.ISELinuxOption> | null): string[] {
  if (options === null) return [];
  return (['user', 'role', 'type', 'level'] as const)
    .filter((part) => options[part] !== '')
    .map((part) => `label=${part}:${options[part]}`);
}

function id(value: { toNumber(): number }, field: string): number {
  return integer(value, field, 0, MAX_ID);
}
