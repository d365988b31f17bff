import { invalidArgument } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import { SecurityProfileType } from '../../proto/enums';
import { profileType } from './security-profile';
import { absolutePath } from './validate';

type Profile = Decoded<cri.ISecurityProfile>;
type SandboxContext = Decoded<cri.ILinuxSandboxSecurityContext>;
type ContainerContext = Decoded<cri.ILinuxContainerSecurityContext>;

/** Which seccomp profile the Engine is to use; `load` names a file whose text belongs into SecurityOpt. */
export type SeccompChoice =
  | { readonly kind: 'engine-default' }
  | { readonly kind: 'unconfined' }
  | { readonly kind: 'load'; readonly path: string; readonly field: string };

/** nil means unconfined for a container, says the CRI; a privileged one is never filtered. */
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
  const type = profileType(profile, field);
  if (type === SecurityProfileType.Unconfined) return { kind: 'unconfined' };
  if (type === SecurityProfileType.RuntimeDefault) return { kind: 'engine-default' };
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

const ACTIONS: ReadonlySet<unknown> = new Set(
  ['ALLOW', 'ERRNO', 'KILL', 'KILL_PROCESS', 'KILL_THREAD', 'LOG', 'NOTIFY', 'TRACE', 'TRAP'].map(
    (action) => `SCMP_ACT_${action}`,
  ),
);

/** What is wrong with a profile, in words; undefined: nothing that the Engine would trip over first thing at start. */
export function seccompProfileFault(profile: unknown): string | undefined {
  if (!isObject(profile)) return 'is not a JSON object';
  if (!ACTIONS.has(profile.defaultAction)) return 'has no defaultAction that libseccomp knows';
  const syscalls = profile.syscalls ?? [];
  if (!Array.isArray(syscalls)) return 'has syscalls that are no list';
  const bad = syscalls.findIndex((rule: unknown) => !isObject(rule) || !ACTIONS.has(rule.action));
  return bad === -1 ? undefined : `has no action that libseccomp knows in syscalls[${bad}]`;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
