import type { EngineHostConfig } from '../../engine/types';
import { failedPrecondition, invalidArgument, unsupported } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import { noNewPrivileges } from '../shared/engine-defaults';
import { isAtLeast } from '../shared/engine-facts';
import { apparmorOption, selinuxOptions } from '../shared/security-options';
import { absolutePath, withoutNul } from '../shared/validate';

type Context = Decoded<cri.ILinuxContainerSecurityContext>;

/** The facts about the node and the Engine that the translation of a security context needs. */
export interface SecuritySurroundings {
  /** Whether the Engine enforces AppArmor. */
  readonly apparmor: boolean;
  readonly capabilities: NodeCapabilities;
  /**
   * Device nodes of this node for a privileged container. They are used only where the Engine's `Privileged` does not
   * work.
   */
  readonly hostDevices: readonly string[];
}

/** Whether a privileged container of this node cannot use the Engine's `Privileged` (ADR 0012). */
export function needsHostDevices(context: Context | null, node: NodeCapabilities): boolean {
  return context?.privileged === true && node !== undefined;
}

/**
 * Translates a LinuxContainerSecurityContext to a HostConfig, except for namespaces and groups.
 * @param seccomp SecurityOpt of the seccomp profile.
 */
export function toEngineSecurity(
  context: Context | null,
  field: string,
  surroundings: SecuritySurroundings,
  seccomp: readonly string[],
): EngineHostConfig {
  // Without a context, the Engine's defaults apply, such as its capabilities and masked paths.
  if (context === null) return { SecurityOpt: [...seccomp, noNewPrivileges(false)] };
  const apparmor = apparmorOption(
    context.apparmor,
    context.apparmor_profile,
    `${field}.apparmor`,
    surroundings.apparmor,
  );
  const options = [
    ...seccomp,
    noNewPrivileges(context.no_new_privs),
    ...selinuxOptions(context.selinux_options, `${field}.selinux_options`),
  ];
  if (!context.privileged) {
    return {
      ReadonlyRootfs: context.readonly_rootfs,
      ...toEngineCapabilities(context.capabilities, `${field}.capabilities`, surroundings.capabilities),
      Privileged: false,
      // Both lists are complete, so an empty list unmasks everything (procMount: Unmasked).
      MaskedPaths: absolutePaths(context.masked_paths, `${field}.masked_paths`),
      ReadonlyPaths: absolutePaths(context.readonly_paths, `${field}.readonly_paths`),
      SecurityOpt: [...options, ...apparmor],
    };
  }
  // A privileged container has all capabilities, but an unknown capability name is still an error.
  toEngineCapabilities(context.capabilities, `${field}.capabilities`, undefined);
  return {
    ReadonlyRootfs: context.readonly_rootfs,
    ...privileged(surroundings),
    SecurityOpt: [
      ...options,
      ...(surroundings.apparmor && apparmor.length === 0 ? ['apparmor=unconfined'] : apparmor),
      ...(context.selinux_options === null ? ['label=disable'] : []),
    ],
  };
}

/**
 * Returns the settings of a privileged container. The Engine's `Privileged` requires all capabilities and fails on a node that
 * lacks one (ADR 0012). On such a node, its parts are set one by one. The container then has neither the capabilities that the
 * node lacks nor writable mounts of /sys and cgroups.
 */
function privileged({ capabilities, hostDevices }: SecuritySurroundings): EngineHostConfig {
  if (capabilities === undefined) return { Privileged: true };
  return {
    Privileged: false,
    CapAdd: [...capabilities],
    CapDrop: [],
    MaskedPaths: [],
    ReadonlyPaths: [],
    Devices: hostDevices.map((path) => ({
      PathOnHost: path,
      PathInContainer: path,
      CgroupPermissions: 'rwm',
    })),
    DeviceCgroupRules: ['a *:* rwm'],
  };
}

function absolutePaths(paths: readonly string[], field: string): string[] {
  return paths.map((path, index) =>
    absolutePath(withoutNul(path, `${field}[${index}]`), `${field}[${index}]`),
  );
}

/** Linux capabilities in the order of their bits, without `CAP_`, as CRI spells them. */
const CAPABILITIES = [
  'CHOWN',
  'DAC_OVERRIDE',
  'DAC_READ_SEARCH',
  'FOWNER',
  'FSETID',
  'KILL',
  'SETGID',
  'SETUID',
  'SETPCAP',
  'LINUX_IMMUTABLE',
  'NET_BIND_SERVICE',
  'NET_BROADCAST',
  'NET_ADMIN',
  'NET_RAW',
  'IPC_LOCK',
  'IPC_OWNER',
  'SYS_MODULE',
  'SYS_RAWIO',
  'SYS_CHROOT',
  'SYS_PTRACE',
  'SYS_PACCT',
  'SYS_ADMIN',
  'SYS_BOOT',
  'SYS_NICE',
  'SYS_RESOURCE',
  'SYS_TIME',
  'SYS_TTY_CONFIG',
  'MKNOD',
  'LEASE',
  'AUDIT_WRITE',
  'AUDIT_CONTROL',
  'SETFCAP',
  'MAC_OVERRIDE',
  'MAC_ADMIN',
  'SYSLOG',
  'WAKE_ALARM',
  'BLOCK_SUSPEND',
  'AUDIT_READ',
  'PERFMON',
  'BPF',
  'CHECKPOINT_RESTORE',
];
const ALL = 'ALL';

/**
 * The names of the capabilities that a node can give to its containers. Undefined means all, or that they cannot be
 * determined. The kernel grants no more than the caller's bounding set, and runc refuses a container that requests more.
 */
export type NodeCapabilities = readonly string[] | undefined;

/**
 * Returns the capabilities of a node.
 * @param bounding `CapBnd` of /proc/PID/status.
 * @param lastBit the kernel's highest capability (`/proc/sys/kernel/cap_last_cap`).
 */
export function nodeCapabilities(bounding: bigint, lastBit: number): NodeCapabilities {
  const known = CAPABILITIES.slice(0, lastBit + 1);
  const given = capabilitiesOf(bounding).filter((name) => known.includes(name));
  return given.length === known.length ? undefined : given;
}

/**
 * Returns the names of the capabilities in a set, without `CAP_`.
 * @param mask a set of /proc/PID/status. Bits without a name are left out.
 */
export function capabilitiesOf(mask: bigint): string[] {
  return CAPABILITIES.filter((_, bit) => ((mask >> BigInt(bit)) & 1n) === 1n);
}

/** The last capability before PERFMON, BPF and CHECKPOINT_RESTORE, which Engines with API 1.41 may not know. */
const LAST_OF_OLD_ENGINES = 'AUDIT_READ';

/** Returns the capabilities of the node that its Engine knows by name. */
export function knownToEngine(node: NodeCapabilities, apiVersion: string): NodeCapabilities {
  if (isAtLeast(apiVersion, '1.42')) return node;
  return node?.filter((name) => CAPABILITIES.indexOf(name) <= CAPABILITIES.indexOf(LAST_OF_OLD_ENGINES));
}

/**
 * Translates CRI's Capability to the Engine's lists. `ALL` means all capabilities of the node, as in containerd. On a
 * node with all capabilities, `ALL` is passed to the Engine unchanged.
 */
export function toEngineCapabilities(
  capability: Decoded<cri.ICapability> | null,
  field: string,
  node: NodeCapabilities,
): { CapAdd: string[]; CapDrop: string[] } {
  if (capability === null) return { CapAdd: [], CapDrop: [] };
  if (capability.add_ambient_capabilities.length > 0) {
    throw unsupported(`${field}.add_ambient_capabilities`, 'Docker Engine cannot set ambient capabilities');
  }
  const add = capability.add_capabilities.map((name, index) =>
    capabilityName(name, `${field}.add_capabilities[${index}]`),
  );
  const drop = capability.drop_capabilities.map((name, index) =>
    capabilityName(name, `${field}.drop_capabilities[${index}]`),
  );
  const beyond = add.findIndex((name) => name !== ALL && node?.includes(name) === false);
  if (beyond !== -1) {
    throw failedPrecondition(
      `${field}.add_capabilities[${beyond}]: this node's Engine itself lacks CAP_${add[beyond] ?? ''}`,
    );
  }
  if (node === undefined || !add.includes(ALL)) return { CapAdd: add, CapDrop: drop };
  // In the Engine, CapAdd overrides CapDrop for a capability by name, but not for its own "ALL". The dropped names are
  // removed here.
  return { CapAdd: node.filter((name) => !drop.includes(name)), CapDrop: drop };
}

/**
 * Accepts Kubernetes' spelling, or the kernel's with `CAP_`. The name is checked here because the Engine's refusal would
 * not name the field.
 */
function capabilityName(given: string, field: string): string {
  const name = given.toUpperCase().replace(/^CAP_/, '');
  if (name !== ALL && !CAPABILITIES.includes(name))
    throw invalidArgument(field, `${JSON.stringify(given.slice(0, 100))} is not a capability`);
  return name;
}
