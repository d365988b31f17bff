import { failedPrecondition } from '../../lib/errors';
import type { nri } from '../../proto/nri';

/** The numbers of NRI's enum Field, with NRI's names for conflicts. */
export const FIELDS = {
  Annotations: 1,
  Mounts: 2,
  OciHooks: 3,
  Devices: 4,
  CdiDevices: 5,
  Env: 6,
  Args: 7,
  MemLimit: 8,
  MemReservation: 9,
  MemSwapLimit: 10,
  MemKernelLimit: 11,
  MemTCPLimit: 12,
  MemSwappiness: 13,
  MemDisableOomKiller: 14,
  MemUseHierarchy: 15,
  CPUShares: 16,
  CPUQuota: 17,
  CPUPeriod: 18,
  CPURealtimeRuntime: 19,
  CPURealtimePeriod: 20,
  CPUSetCPUs: 21,
  CPUSetMems: 22,
  PidsLimit: 23,
  HugepageLimits: 24,
  BlockioClass: 25,
  RdtClass: 26,
  CgroupsUnified: 27,
  CgroupsPath: 28,
  OomScoreAdj: 29,
  Rlimits: 30,
  IoPriority: 31,
  SeccompPolicy: 32,
  Namespace: 33,
  Sysctl: 34,
  LinuxNetDevices: 35,
  LinuxSched: 36,
  RdtClosID: 37,
  RdtSchemata: 38,
  RdtEnableMonitoring: 39,
  MemoryPolicy: 40,
} as const;

export type FieldName = keyof typeof FIELDS;

/** The owner of something that a plugin has removed is the plugin's name with this mark, and only this plugin may set it again. */
const REMOVED = '-';

/**
 * Which plugin has set which field of one container. A field belongs to the first plugin that sets it; a second one is a conflict. Some
 * fields have keys, such as the name of a variable, and then each key has its own owner.
 */
export class FieldOwners {
  private readonly simple = new Map<FieldName, string>();
  private readonly compound = new Map<FieldName, Map<string, string>>();

  /** @throws RuntimeError FAILED_PRECONDITION when the field belongs to another plugin. */
  claim(field: FieldName, plugin: string): void {
    refuseConflict(this.simple.get(field), plugin, field);
    this.simple.set(field, plugin);
  }

  /** Hooks have several owners, because every plugin may add some. */
  share(field: FieldName, plugin: string): void {
    const others = this.simple.get(field);
    this.simple.set(field, others === undefined ? plugin : `${others},${plugin}`);
  }

  clear(field: FieldName, plugin: string): void {
    this.simple.set(field, REMOVED + plugin);
  }

  /** @throws RuntimeError FAILED_PRECONDITION when the key belongs to a plugin, even to the same one. */
  claimKey(field: FieldName, key: string, plugin: string): void {
    refuseConflict(this.keysOf(field).get(key), plugin, `${field} ${key}`);
    this.keysOf(field).set(key, plugin);
  }

  clearKey(field: FieldName, key: string, plugin: string): void {
    this.keysOf(field).set(key, REMOVED + plugin);
  }

  toMessage(): nri.IFieldOwners {
    return {
      simple: Object.fromEntries([...this.simple].map(([field, owner]) => [FIELDS[field], owner])),
      compound: Object.fromEntries(
        [...this.compound].map(([field, owners]) => [FIELDS[field], { owners: Object.fromEntries(owners) }]),
      ),
    };
  }

  private keysOf(field: FieldName): Map<string, string> {
    let keys = this.compound.get(field);
    if (keys === undefined) this.compound.set(field, (keys = new Map<string, string>()));
    return keys;
  }
}

function refuseConflict(owner: string | undefined, plugin: string, what: string): void {
  if (owner === undefined || owner === REMOVED + plugin) return;
  const other = owner.startsWith(REMOVED) ? owner.slice(REMOVED.length) : owner;
  throw failedPrecondition(`the NRI plugins "${plugin}" and "${other}" both tried to set ${what}`);
}

/** The owners of the fields of several containers, by the ids of the containers. */
export class Owners {
  private readonly containers = new Map<string, FieldOwners>();

  of(container: string): FieldOwners {
    let owners = this.containers.get(container);
    if (owners === undefined) this.containers.set(container, (owners = new FieldOwners()));
    return owners;
  }

  toMessage(): nri.IOwningPlugins {
    return {
      owners: Object.fromEntries([...this.containers].map(([id, owners]) => [id, owners.toMessage()])),
    };
  }
}
