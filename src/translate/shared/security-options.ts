import { failedPrecondition, invalidArgument } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import { SecurityProfileType } from '../../proto/enums';
import { absolutePath, nonEmpty, oneOf } from './validate';

const PROFILE_TYPES = [
  SecurityProfileType.RuntimeDefault,
  SecurityProfileType.Unconfined,
  SecurityProfileType.Localhost,
];

/**
 * Returns the type of a profile.
 * @throws INVALID_ARGUMENT for a type that CRI does not define.
 */
export function profileType(profile: Decoded<cri.ISecurityProfile>, field: string): SecurityProfileType {
  oneOf(
    profile.profile_type,
    PROFILE_TYPES,
    `${field}.profile_type`,
    'RuntimeDefault, Unconfined or Localhost',
  );
  return profile.profile_type;
}

type Profile = Decoded<cri.ISecurityProfile>;
type SandboxContext = Decoded<cri.ILinuxSandboxSecurityContext>;
type ContainerContext = Decoded<cri.ILinuxContainerSecurityContext>;

/** The seccomp profile for the Engine. `load` names a file whose text becomes part of SecurityOpt. */
export type SeccompChoice =
  | { readonly kind: 'engine-default' }
  | { readonly kind: 'unconfined' }
  | { readonly kind: 'load'; readonly path: string; readonly field: string };

/**
 * Returns the profile of a container. By CRI's rules, no profile means unconfined for a container. A privileged container
 * is never filtered.
 */
export function containerSeccomp(context: ContainerContext, field: string): SeccompChoice {
  if (context.privileged) return { kind: 'unconfined' };
  return (
    profileChoice(context.seccomp, context.seccomp_profile_path, `${field}.seccomp`) ?? { kind: 'unconfined' }
  );
}

/**
 * Returns the profile of a sandbox. For a sandbox, no profile means the Engine's default, which denies nothing that the
 * pause process needs.
 */
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
  const type = profileType(profile, field);
  if (type === SecurityProfileType.Unconfined) return { kind: 'unconfined' };
  if (type === SecurityProfileType.RuntimeDefault) return { kind: 'engine-default' };
  return { kind: 'load', path: absolutePath(profile.localhost_ref, `${field}.localhost_ref`), field };
}

/** Reads the string that kubelets up to 1.21 send instead of the message. */
function deprecatedChoice(name: string, field: string): SeccompChoice | undefined {
  if (name === '') return undefined;
  if (name === 'unconfined') return { kind: 'unconfined' };
  if (name === 'runtime/default' || name === 'docker/default') return { kind: 'engine-default' };
  if (!name.startsWith('localhost/')) {
    throw invalidArgument(`${field}_profile_path`, `${JSON.stringify(name)} is not a seccomp profile`);
  }
  return {
    kind: 'load',
    path: absolutePath(name.slice('localhost/'.length), `${field}_profile_path`),
    field,
  };
}

/**
 * Converts the chosen seccomp profile to SecurityOpt.
 * @param profileText the text of the file that a `load` choice names.
 */
export function seccompOption(choice: SeccompChoice, profileText: string | undefined): string[] {
  if (choice.kind === 'engine-default') return [];
  if (choice.kind === 'unconfined') return ['seccomp=unconfined'];
  return [`seccomp=${profileText ?? ''}`];
}

const SECCOMP_ACTIONS: ReadonlySet<unknown> = new Set(
  ['ALLOW', 'ERRNO', 'KILL', 'KILL_PROCESS', 'KILL_THREAD', 'LOG', 'NOTIFY', 'TRACE', 'TRAP'].map(
    (action) => `SCMP_ACT_${action}`,
  ),
);

/** Describes a fault of a profile that would make the start fail at once; undefined if there is none. */
export function seccompProfileFault(profile: unknown): string | undefined {
  if (!isObject(profile)) return 'is not a JSON object';
  if (!SECCOMP_ACTIONS.has(profile.defaultAction)) return 'has no defaultAction that libseccomp knows';
  const syscalls = profile.syscalls ?? [];
  if (!Array.isArray(syscalls)) return 'has syscalls that are not a list';
  const bad = syscalls.findIndex((rule: unknown) => !isObject(rule) || !SECCOMP_ACTIONS.has(rule.action));
  return bad === -1 ? undefined : `has no action that libseccomp knows in syscalls[${bad}]`;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Converts the requested AppArmor profile to SecurityOpt.
 * @param enabled whether the Engine enforces AppArmor (`SecurityOptions` of /info).
 */
export function apparmorOption(
  profile: Profile | null,
  deprecatedName: string,
  field: string,
  enabled: boolean,
): string[] {
  const name = apparmorProfile(profile, deprecatedName, field);
  if (name === undefined) return [];
  if (!enabled && name !== 'unconfined') {
    throw failedPrecondition(
      `${field}: profile "${name}" is requested, but AppArmor is not enabled on this node`,
    );
  }
  return enabled ? [`apparmor=${name}`] : [];
}

/**
 * Returns the name of the requested profile; undefined means the runtime's default. The new field overrides the
 * deprecated one.
 */
export function apparmorProfile(
  profile: Profile | null,
  deprecatedName: string,
  field: string,
): string | undefined {
  if (profile !== null) {
    const type = profileType(profile, field);
    if (type === SecurityProfileType.RuntimeDefault) return undefined;
    if (type === SecurityProfileType.Unconfined) return 'unconfined';
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

const SELINUX_PARTS = ['user', 'role', 'type', 'level'] as const;
const SELINUX_NAME = /^[\w.]+$/;
/** Matches a sensitivity or a range of two, each with its categories: `s0`, `s0:c1,c2.c5`, `s0-s15:c0.c1023`. */
const SELINUX_LEVEL = /^s\d+(:c\d+([.,]c\d+)*)?(-s\d+(:c\d+([.,]c\d+)*)?)?$/;

/**
 * Converts SELinuxOption to SecurityOpt. The label is checked here, because the Engine would notice a malformed label
 * only at the start. On a node without SELinux (where labels have no effect, as Kubernetes documents), it would never
 * notice.
 */
export function selinuxOptions(options: Decoded<cri.ISELinuxOption> | null, field: string): string[] {
  if (options === null) return [];
  return SELINUX_PARTS.filter((part) => options[part] !== '').map((part) => {
    const value = options[part];
    if (!(part === 'level' ? SELINUX_LEVEL : SELINUX_NAME).test(value)) {
      throw invalidArgument(
        `${field}.${part}`,
        `${JSON.stringify(value.slice(0, 100))} is not a valid SELinux ${part}`,
      );
    }
    return `label=${part}:${value}`;
  });
}
