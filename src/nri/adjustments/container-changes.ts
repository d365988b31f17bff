import { posix } from 'node:path';
import type { nri } from '../../proto/nri';
import { type DeviceChange, toDevices, toDeviceRules } from './device-changes';
import { type MountChange, toMounts } from './mount-changes';
import { type Changes, parseKey } from './named';
import { refuse, toSafeInteger, wrong } from './refuse';
import { type ResourceChanges, toResourceChanges } from './resource-changes';

/** The namespaces that a create call can choose. `host` is the machine's namespace, and `private` one of the container's own. */
export type NamespaceMode = 'host' | 'private';
export type NamespaceType = 'cgroup' | 'ipc' | 'network' | 'pid' | 'user' | 'uts';

export interface Ulimit {
  /** The Engine's name, such as `nofile`. */
  readonly name: string;
  /** -1 is unlimited. */
  readonly soft: number;
  readonly hard: number;
}

/** What plugins change about a container that is being created, in terms that a create call can carry. */
export interface ContainerChanges {
  readonly annotations: Changes<Readonly<Record<string, string>>>;
  readonly mounts: Changes<readonly MountChange[]>;
  /** In order. */
  readonly env: Changes<readonly (readonly [name: string, value: string])[]>;
  /** The whole command line; absent if the request's stays. */
  readonly args?: readonly string[];
  readonly devices: Changes<readonly DeviceChange[]>;
  /** In the form of the Engine's DeviceCgroupRules, such as `c 1:3 rwm`. */
  readonly deviceRules: readonly string[];
  readonly cdiDevices: readonly string[];
  readonly ulimits: readonly Ulimit[];
  readonly resources: ResourceChanges;
  /** A slice's name with the systemd driver, otherwise a path; absent if the request's stays. */
  readonly cgroupParent?: string;
  readonly oomScoreAdj?: number;
  readonly sysctls: Changes<Readonly<Record<string, string>>>;
  readonly namespaces: ReadonlyMap<NamespaceType, NamespaceMode>;
}

/**
 * Translates what all plugins ask for.
 * @param cgroupsPath the path that the plugins saw in the request.
 * @throws RuntimeError UNIMPLEMENTED with the name of the field that Docker Engine cannot carry; INVALID_ARGUMENT for a value that makes no sense.
 */
export function toContainerChanges(adjust: nri.IContainerAdjustment, cgroupsPath: string): ContainerChanges {
  const linux = adjust.linux ?? {};
  refuseUnsupported(adjust, linux);
  const parent = toCgroupParent(linux.cgroups_path ?? '', cgroupsPath);
  const env = divide(adjust.env ?? [], ({ key }) => key ?? '');
  const oomScoreAdj = linux.oom_score_adj?.value;
  return {
    annotations: divideMap(adjust.annotations ?? {}, 'annotations'),
    mounts: toMounts(adjust.mounts ?? []),
    env: { set: env.set.map(toVariable), removed: env.removed },
    ...(adjust.args == null || adjust.args.length === 0 ? {} : { args: adjust.args.map(toArgument) }),
    devices: toDevices(linux.devices ?? []),
    deviceRules: toDeviceRules(linux.resources?.devices ?? []),
    cdiDevices: (adjust.CDI_devices ?? []).map(({ name }) => name ?? ''),
    ulimits: (adjust.rlimits ?? []).map(toUlimit),
    resources: toResourceChanges(linux.resources ?? {}, 'linux.resources'),
    ...(parent === undefined ? {} : { cgroupParent: parent }),
    ...(oomScoreAdj == null ? {} : { oomScoreAdj: toOomScore(oomScoreAdj) }),
    sysctls: divideMap(linux.sysctl ?? {}, 'linux.sysctl'),
    namespaces: toNamespaces(linux.namespaces ?? []),
  };
}

const HOOKS = [
  'prestart',
  'create_runtime',
  'create_container',
  'start_container',
  'poststart',
  'poststop',
] as const;

function refuseUnsupported(adjust: nri.IContainerAdjustment, linux: nri.ILinuxContainerAdjustment): void {
  for (const kind of HOOKS)
    if ((adjust.hooks?.[kind] ?? []).length > 0)
      throw refuse(`hooks.${kind}`, 'Docker Engine runs no OCI hooks of a single container');
  if (linux.io_priority != null) throw refuse('linux.io_priority', 'Docker Engine has no I/O priority');
  if (linux.seccomp_policy != null)
    throw refuse('linux.seccomp_policy', 'a plugin cannot replace the seccomp profile that the pod asks for');
  if (linux.scheduler != null) throw refuse('linux.scheduler', 'Docker Engine has no scheduling policy');
  if (linux.memory_policy != null) throw refuse('linux.memory_policy', 'Docker Engine has no NUMA policy');
  if (linux.rdt != null) throw refuse('linux.rdt', 'Docker Engine has no cache allocation (RDT)');
  const [device] = Object.keys(linux.net_devices ?? {});
  if (device !== undefined)
    throw refuse(
      `linux.net_devices[${JSON.stringify(device)}]`,
      'Docker Engine cannot move network devices into a container',
    );
}

/** Divides marked elements from others. What is set after a removal is not removed. */
function divide<T>(elements: readonly T[], keyOf: (element: T) => string): Changes<T[]> {
  const set = elements.filter((element) => !parseKey(keyOf(element)).isRemoved);
  const keys = new Set(set.map(keyOf));
  const removed = elements
    .map((element) => parseKey(keyOf(element)))
    .filter(({ key, isRemoved }) => isRemoved && !keys.has(key));
  return { set, removed: removed.map(({ key }) => key) };
}

function divideMap(map: Readonly<Record<string, string>>, field: string): Changes<Record<string, string>> {
  const { set, removed } = divide(Object.entries(map), ([key]) => key);
  for (const [key, value] of set)
    if (key === '' || `${key}${value}`.includes('\0'))
      throw wrong(`${field}[${JSON.stringify(key)}]`, 'is empty or contains a NUL character');
  return { set: Object.fromEntries(set), removed };
}

function toVariable({ key, value }: nri.IKeyValue, index: number): readonly [string, string] {
  const [name, text] = [key ?? '', value ?? ''];
  if (name === '' || name.includes('=') || `${name}${text}`.includes('\0'))
    throw wrong(`env[${index}]`, `${JSON.stringify(name)} is no name of a variable`);
  return [name, text];
}

function toArgument(argument: string, index: number): string {
  if (argument.includes('\0')) throw wrong(`args[${index}]`, 'contains a NUL character');
  return argument;
}

/** The limits that the Engine knows. It has no name for the size of the address space (RLIMIT_AS). */
const ULIMITS: ReadonlySet<string> = new Set([
  ...['core', 'cpu', 'data', 'fsize', 'locks', 'memlock', 'msgqueue', 'nice'],
  ...['nofile', 'nproc', 'rss', 'rtprio', 'rttime', 'sigpending', 'stack'],
]);
/** RLIM_INFINITY. */
const UNLIMITED = '18446744073709551615';

function toUlimit({ type, soft, hard }: nri.IPOSIXRlimit, index: number): Ulimit {
  const name = (type ?? '').replace(/^RLIMIT_/, '').toLowerCase();
  const field = `rlimits[${index}]`;
  if (!ULIMITS.has(name))
    throw refuse(`${field}.type`, `Docker Engine has no limit ${JSON.stringify(type ?? '')}`);
  const value = (limit: nri.IPOSIXRlimit['soft'], part: string): number =>
    String(limit ?? 0) === UNLIMITED ? -1 : toSafeInteger(limit ?? 0, `${field}.${part}`);
  return { name, soft: value(soft, 'soft'), hard: value(hard, 'hard') };
}

function toOomScore(value: nri.IOptionalInt['value']): number {
  const score = toSafeInteger(value ?? 0, 'linux.oom_score_adj');
  if (score < -1000 || score > 1000) throw wrong('linux.oom_score_adj', `${score} is not from -1000 to 1000`);
  return score;
}

/**
 * Returns the new parent. The path of the systemd driver is `SLICE:PREFIX:NAME`. The Engine gives the container's own control group its
 * name, so a plugin can change only what comes before that name.
 */
function toCgroupParent(path: string, old: string): string | undefined {
  if (path === '' || path === old) return undefined;
  const divided = (one: string): readonly [parent: string, own: string] => {
    const colon = one.indexOf(':');
    return colon < 0 ? [posix.dirname(one), posix.basename(one)] : [one.slice(0, colon), one.slice(colon)];
  };
  const [parent, own] = divided(path);
  if (own !== divided(old)[1])
    throw refuse(
      'linux.cgroups_path',
      'Docker Engine names the control group of the container, and only its parent can change',
    );
  return parent;
}

const NAMESPACES: ReadonlyMap<string, { readonly type: NamespaceType; readonly canBePrivate: boolean }> =
  new Map([
    ['cgroup', { type: 'cgroup', canBePrivate: true }],
    ['ipc', { type: 'ipc', canBePrivate: true }],
    ['network', { type: 'network', canBePrivate: false }],
    ['pid', { type: 'pid', canBePrivate: true }],
    ['user', { type: 'user', canBePrivate: false }],
    ['uts', { type: 'uts', canBePrivate: true }],
  ]);

function toNamespaces(namespaces: readonly nri.ILinuxNamespace[]): Map<NamespaceType, NamespaceMode> {
  return new Map(
    namespaces.map(({ type: marked, path }) => {
      const { key, isRemoved } = parseKey(marked ?? '');
      const field = `linux.namespaces[${JSON.stringify(key)}]`;
      const known = NAMESPACES.get(key);
      if (known === undefined) throw refuse(field, 'Docker Engine does not let this namespace be chosen');
      if (isRemoved) return [known.type, 'host'];
      if ((path ?? '') !== '')
        throw refuse(`${field}.path`, 'Docker Engine joins namespaces of containers only, and not by path');
      if (!known.canBePrivate) throw refuse(field, 'Docker Engine cannot make a new namespace of this type');
      return [known.type, 'private'];
    }),
  );
}
