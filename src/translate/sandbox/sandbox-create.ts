import { isIP } from 'node:net';
import type { EngineContainerCreate } from '../../engine/types';
import { invalidArgument, unsupported } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import { NamespaceMode } from '../../proto/enums';
import type { NamespaceModes, SandboxMetadata } from '../../store/records';
import { checkCgroupParent, clampOomScore, toEngineCgroupParent } from '../container/resources';
import { type Contents, contentsOfSandbox } from '../shared/contents';
import { everyAddress, explicitDefaults, noNewPrivileges, SHM_BYTES } from '../shared/engine-defaults';
import { type KnownRuntimes, toEngineRuntime } from '../shared/engine-facts';
import { encodeLabels, EXTRA_LABEL, type LabelKeys, sandboxOwnLabels } from '../shared/labels';
import { POD_NAMESPACES, sandboxNamespaces, toNamespaceModes } from '../shared/namespaces';
import {
  apparmorOption,
  sandboxSeccomp,
  type SeccompChoice,
  selinuxOptions,
} from '../shared/security-options';
import { toSandboxUser } from '../shared/user';
import { absolutePath, boundedMap, namePart, required, withoutNul } from '../shared/validate';
import { toEnginePorts } from './ports';

type Config = Decoded<cri.IPodSandboxConfig>;

export interface PodDns {
  readonly servers: readonly string[];
  readonly searches: readonly string[];
  readonly options: readonly string[];
}

/** The JSON under EXTRA_LABEL. It contains what the name and the shared labels of a sandbox cannot hold. */
export interface SandboxExtra extends LabelKeys {
  readonly v: 1;
  readonly metadata: SandboxMetadata;
  readonly runtimeHandler: string;
  readonly namespaces: NamespaceModes;
  readonly logDirectory: string;
  readonly cgroupParent: string;
  readonly privileged: boolean;
  /** Absent if the request has no DNS configuration. */
  readonly dns?: PodDns;
  /** Absent in sandboxes of older versions. */
  readonly contents?: Contents;
}

/** The facts about the node and the Engine that the translation of a sandbox needs. */
export interface SandboxSurroundings extends KnownRuntimes {
  /** Image reference or id of the pause container. */
  readonly image: string;
  /** The Engine's network for pods that have their own network. */
  readonly networkMode: string;
  readonly cgroupDriver: string;
  readonly cgroupVersion: string;
  /** Whether the node has IPv6. */
  readonly ipv6: boolean;
  readonly oomFloor: number;
  readonly apparmor: boolean;
}

/** A RunPodSandbox request that passed all checks which need no I/O. */
export interface CheckedSandbox {
  readonly config: Config;
  readonly metadata: SandboxMetadata;
  readonly namespaces: NamespaceModes;
  readonly seccomp: SeccompChoice;
  readonly runtimeHandler: string;
  readonly contents: Contents;
}

/** This score is just above that of processes that must never be killed. dockershim and cri-dockerd use the same value. */
const SANDBOX_OOM_SCORE = -998;
export const SANDBOX_CPU_SHARES = 2;

/**
 * Checks a RunPodSandbox request.
 * @throws INVALID_ARGUMENT or UNIMPLEMENTED with the name of the field.
 */
export function checkSandbox(config: Config | null, runtimeHandler: string): CheckedSandbox {
  const checked = required(config, 'config');
  const metadata = toSandboxMetadata(checked.metadata, 'config.metadata');
  const context = checked.linux?.security_context ?? null;
  const field = 'config.linux.security_context';
  const namespaces =
    context === null
      ? POD_NAMESPACES
      : toNamespaceModes(context.namespace_options, `${field}.namespace_options`, 'sandbox');
  withoutNul(checked.hostname, 'config.hostname');
  if (namespaces.network !== NamespaceMode.NODE) hostName(checked.hostname, 'config.hostname');
  if (checked.dns_config !== null) checkDns(checked.dns_config, 'config.dns_config');
  if (checked.log_directory !== '') absolutePath(checked.log_directory, 'config.log_directory');
  boundedMap(checked.labels, 'config.labels');
  boundedMap(checked.annotations, 'config.annotations');
  checkCgroupParent(checked.linux?.cgroup_parent ?? '', 'config.linux.cgroup_parent');
  boundedMap(checked.linux?.sysctls ?? {}, 'config.linux.sysctls');
  toEnginePorts(checked.port_mappings, 'config.port_mappings', []);
  if (checked.windows !== null) throw unsupported('config.windows', 'this is a Linux node');
  return {
    config: checked,
    metadata,
    namespaces,
    seccomp: context === null ? { kind: 'engine-default' } : sandboxSeccomp(context, field),
    runtimeHandler: withoutNul(runtimeHandler, 'runtime_handler'),
    contents: contentsOfSandbox(checked, runtimeHandler),
  };
}

function toSandboxMetadata(
  metadata: Decoded<cri.IPodSandboxMetadata> | null,
  field: string,
): SandboxMetadata {
  const { name, namespace, uid, attempt } = required(metadata, field);
  return {
    name: namePart(name, `${field}.name`),
    namespace: namePart(namespace, `${field}.namespace`),
    uid: namePart(uid, `${field}.uid`),
    attempt,
  };
}

/** Returns the content of the pod's resolv.conf, which may be empty. Undefined means the node's content (ADR 0033). */
export function podDns({ dns_config }: Config): Decoded<cri.IDNSConfig> | undefined {
  return dns_config ?? undefined;
}

const LOOPBACK_IPV6 = 'net.ipv6.conf.lo.disable_ipv6';

/**
 * Returns the sysctls of a sandbox. In a network without IPv6, Engine 20.10 disables IPv6 even for the loopback interface.
 * Pods of all other runtimes have `::1`, so this enables IPv6 for the loopback interface.
 * @param ipv6 whether the node has IPv6 and the pod has its own network.
 */
function sandboxSysctls(asked: Readonly<Record<string, string>>, ipv6: boolean): Record<string, string> {
  // The order in which sysctls are set is undefined, so this one must not be set together with a requested one for all
  // interfaces.
  const isAsked = LOOPBACK_IPV6 in asked || 'net.ipv6.conf.all.disable_ipv6' in asked;
  // An empty value becomes a newline, as with sysctl(8), because an empty write would change nothing and report no error.
  const values = Object.fromEntries(Object.entries(asked).map(([name, value]) => [name, value || '\n']));
  return ipv6 && !isAsked ? { ...values, [LOOPBACK_IPV6]: '0' } : values;
}

/** Converts a checked request to the body of the Engine's create call. */
export function toSandboxCreate(
  checked: CheckedSandbox,
  surroundings: SandboxSurroundings,
  seccompOptions: readonly string[],
): EngineContainerCreate {
  const { config, metadata, namespaces } = checked;
  const hostNetwork = namespaces.network === NamespaceMode.NODE;
  const context = config.linux?.security_context ?? null;
  const field = 'config.linux.security_context';
  const cgroupParent = config.linux?.cgroup_parent ?? '';
  const encoded = encodeLabels(sandboxOwnLabels(), config.labels, config.annotations);
  const dns = podDns(config);
  const extra: SandboxExtra = {
    v: 1,
    metadata,
    runtimeHandler: checked.runtimeHandler,
    namespaces,
    logDirectory: config.log_directory,
    cgroupParent,
    privileged: context?.privileged ?? false,
    ...(dns === undefined ? {} : { dns }),
    contents: checked.contents,
    ...encoded.keys,
  };
  const { user, groups } = toSandboxUser(context, field);
  const addresses = everyAddress(surroundings.networkMode, surroundings.ipv6);
  const ports = hostNetwork
    ? undefined
    : toEnginePorts(config.port_mappings, 'config.port_mappings', addresses);
  const handler = toEngineRuntime(checked.runtimeHandler, surroundings, 'runtime_handler');
  return {
    Image: surroundings.image,
    Labels: { ...encoded.labels, [EXTRA_LABEL]: JSON.stringify(extra) },
    ...(hostNetwork ? {} : { Hostname: config.hostname }),
    ...(user === undefined ? {} : { User: user }),
    ...(ports === undefined ? {} : { ExposedPorts: ports.ExposedPorts }),
    Healthcheck: { Test: ['NONE'] },
    HostConfig: {
      ...sandboxNamespaces(namespaces, surroundings.networkMode),
      ...explicitDefaults(context?.privileged ?? false, surroundings.cgroupVersion),
      ShmSize: SHM_BYTES,
      ...(ports === undefined ? {} : { PortBindings: ports.PortBindings }),
      ...(handler === undefined ? {} : { Runtime: handler }),
      CgroupParent: toEngineCgroupParent(
        cgroupParent,
        surroundings.cgroupDriver,
        'config.linux.cgroup_parent',
      ),
      Sysctls: sandboxSysctls(config.linux?.sysctls ?? {}, !hostNetwork && surroundings.ipv6),
      ReadonlyRootfs: context?.readonly_rootfs ?? false,
      GroupAdd: groups,
      SecurityOpt: [
        noNewPrivileges(true),
        ...seccompOptions,
        ...apparmorOption(context?.apparmor ?? null, '', `${field}.apparmor`, surroundings.apparmor),
        ...selinuxOptions(context?.selinux_options ?? null, `${field}.selinux_options`),
      ],
      Dns: dns?.servers ?? [],
      DnsSearch: dns?.searches ?? [],
      DnsOptions: dns?.options ?? [],
      CpuShares: SANDBOX_CPU_SHARES,
      OomScoreAdj: clampOomScore(SANDBOX_OOM_SCORE, surroundings.oomFloor),
      RestartPolicy: { Name: 'no' },
      // The pause process writes nothing, so the Engine's default log driver need not be started for it.
      LogConfig: { Type: 'none', Config: {} },
    },
  };
}

/** The kernel's limit for a host name, in characters. */
const MAX_NAME = 64;
/** The limit for one part of a host name (RFC 1123). */
const MAX_LABEL = 63;

/**
 * Checks a host name, which may be ''. The check is needed because the Engine accepts names that the kernel or resolvers
 * refuse.
 * @throws INVALID_ARGUMENT for an invalid name.
 */
export function hostName(name: string, field: string): string {
  const shown = JSON.stringify(name.slice(0, 100));
  if (name.length > MAX_NAME)
    throw invalidArgument(field, `${shown} has ${name.length} characters, at most ${MAX_NAME} are allowed`);
  for (const label of name === '' ? [] : name.split('.')) {
    if (!/^[a-zA-Z0-9]([a-zA-Z0-9_-]*[a-zA-Z0-9])?$/.test(label)) {
      throw invalidArgument(
        field,
        `${shown} is not a host name: use letters, digits, "-" and ".", and begin and end each part with a letter or digit`,
      );
    }
    if (label.length > MAX_LABEL)
      throw invalidArgument(field, `a part of ${shown} has more than ${MAX_LABEL} characters`);
  }
  return name;
}

/**
 * Checks what is written to a resolv.conf. A blank or a newline inside a value would begin another word or line.
 * @throws INVALID_ARGUMENT for an invalid value.
 */
export function checkDns({ servers, searches, options }: Decoded<cri.IDNSConfig>, field: string): void {
  servers.forEach((server, index) => {
    // A link-local address may be followed by an interface.
    if (isIP(server.replace(/%[\w.-]+$/, '')) === 0)
      throw invalidArgument(
        `${field}.servers[${index}]`,
        `${JSON.stringify(server.slice(0, 100))} is not an IP address`,
      );
  });
  searches.forEach((domain, index) => oneWord(domain, `${field}.searches[${index}]`, 'domain'));
  options.forEach((option, index) => oneWord(option, `${field}.options[${index}]`, 'option'));
}

function oneWord(word: string, field: string, kind: string): void {
  if (!/^[^\s\p{Cc}]+$/u.test(word))
    throw invalidArgument(field, `${JSON.stringify(word.slice(0, 100))} is not a valid ${kind}`);
}
