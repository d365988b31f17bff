import { failedPrecondition, invalidArgument, unsupported } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import { isAtLeast } from '../shared/engine-facts';

/** Linux capabilities in the order of their bits, without `CAP_`, as the CRI writes them. */
const NAMES = [
  ...['CHOWN', 'DAC_OVERRIDE', 'DAC_READ_SEARCH', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP'],
  ...[
    'LINUX_IMMUTABLE',
    'NET_BIND_SERVICE',
    'NET_BROADCAST',
    'NET_ADMIN',
    'NET_RAW',
    'IPC_LOCK',
    'IPC_OWNER',
  ],
  ...[
    'SYS_MODULE',
    'SYS_RAWIO',
    'SYS_CHROOT',
    'SYS_PTRACE',
    'SYS_PACCT',
    'SYS_ADMIN',
    'SYS_BOOT',
    'SYS_NICE',
  ],
  ...['SYS_RESOURCE', 'SYS_TIME', 'SYS_TTY_CONFIG', 'MKNOD', 'LEASE', 'AUDIT_WRITE', 'AUDIT_CONTROL'],
  ...['SETFCAP', 'MAC_OVERRIDE', 'MAC_ADMIN', 'SYSLOG', 'WAKE_ALARM', 'BLOCK_SUSPEND', 'AUDIT_READ'],
  ...['PERFMON', 'BPF', 'CHECKPOINT_RESTORE'],
];
const ALL = 'ALL';

/**
 * What a node can give its containers, by name; undefined when that is everything, or not ours to know. A kernel gives
 * nobody more than the bounding set of who asks, so runc fails such a container instead of giving it less.
 */
export type NodeCapabilities = readonly string[] | undefined;

/**
 * @param bounding `CapBnd` of /proc/PID/status.
 * @param lastBit the kernel's highest capability (`/proc/sys/kernel/cap_last_cap`).
 */
export function nodeCapabilities(bounding: bigint, lastBit: number): NodeCapabilities {
  const known = NAMES.slice(0, lastBit + 1);
  const given = known.filter((_, bit) => ((bounding >> BigInt(bit)) & 1n) === 1n);
  return given.length === known.length ? undefined : given;
}

/** The last capability before PERFMON, BPF and CHECKPOINT_RESTORE, which Engines of API 1.41 may not know of. */
const LAST_OF_OLD_ENGINES = 'AUDIT_READ';

/** Returns those capabilities of the node that its Engine knows by name. */
export function knownToEngine(node: NodeCapabilities, apiVersion: string): NodeCapabilities {
  if (isAtLeast(apiVersion, '1.42')) return node;
  return node?.filter((name) => NAMES.indexOf(name) <= NAMES.indexOf(LAST_OF_OLD_ENGINES));
}

/**
 * CRI Capability → HostConfig. `ALL` means all that the node has, as containerd understands it: with a node that has
 * everything it goes to the Engine as it is.
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
      `${field}.add_capabilities[${beyond}]: this node's Engine does not have CAP_${add[beyond] ?? ''} itself`,
    );
  }
  if (node === undefined || !add.includes(ALL)) return { CapAdd: add, CapDrop: drop };
  // To the Engine what is named wins over what is dropped, unlike with its own "ALL".
  return { CapAdd: node.filter((name) => !drop.includes(name)), CapDrop: drop };
}

/** Kubernetes' spelling, or the kernel's with `CAP_`; the Engine's own refusal would not name the field. */
function capabilityName(given: string, field: string): string {
  const name = given.toUpperCase().replace(/^CAP_/, '');
  if (name !== ALL && !NAMES.includes(name))
    throw invalidArgument(field, `${JSON.stringify(given.slice(0, 100))} is no capability`);
  return name;
}
