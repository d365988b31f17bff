import type { nri } from '../../proto/nri';
import type { FieldName, FieldOwners } from './owners';

type Claims<T> = readonly (readonly [keyof T, FieldName])[];

const MEMORY: Claims<nri.ILinuxMemory> = [
  ['limit', 'MemLimit'],
  ['reservation', 'MemReservation'],
  ['swap', 'MemSwapLimit'],
  ['kernel', 'MemKernelLimit'],
  ['kernel_tcp', 'MemTCPLimit'],
  ['swappiness', 'MemSwappiness'],
  ['disable_oom_killer', 'MemDisableOomKiller'],
  ['use_hierarchy', 'MemUseHierarchy'],
];
const CPU: Claims<nri.ILinuxCPU> = [
  ['shares', 'CPUShares'],
  ['quota', 'CPUQuota'],
  ['period', 'CPUPeriod'],
  ['realtime_runtime', 'CPURealtimeRuntime'],
  ['realtime_period', 'CPURealtimePeriod'],
  ['cpus', 'CPUSetCPUs'],
  ['mems', 'CPUSetMems'],
];
const SINGLE: Claims<nri.ILinuxResources> = [
  ['blockio_class', 'BlockioClass'],
  ['rdt_class', 'RdtClass'],
  ['pids', 'PidsLimit'],
];

/** Resources whose parts all exist, so that a plugin's changes can be added. */
export interface Resources extends nri.ILinuxResources {
  memory: nri.ILinuxMemory;
  cpu: nri.ILinuxCPU;
  hugepage_limits: nri.IHugepageLimit[];
  unified: Record<string, string>;
  devices: nri.ILinuxDeviceCgroup[];
}

/** Returns a copy that shares no list or object in which this folder writes. */
export function copyResources(from: nri.ILinuxResources | null | undefined): Resources {
  const copy: Resources = {
    memory: {},
    cpu: {},
    hugepage_limits: [...(from?.hugepage_limits ?? [])],
    unified: { ...from?.unified },
    devices: [...(from?.devices ?? [])],
  };
  if (from?.memory != null) copySet(from.memory, [copy.memory], MEMORY);
  if (from?.cpu != null) copySet(from.cpu, [copy.cpu], CPU);
  if (from != null) copySet(from, [copy], SINGLE);
  return copy;
}

/**
 * Adds a plugin's changes to each of `targets`.
 * @throws RuntimeError FAILED_PRECONDITION when another plugin has set one of the fields. Some changes have been added then.
 */
export function mergeResources(
  asked: nri.ILinuxResources | null | undefined,
  targets: readonly Resources[],
  owners: FieldOwners,
  plugin: string,
): void {
  if (asked == null) return;
  const claim = (field: FieldName): void => owners.claim(field, plugin);
  if (asked.memory != null)
    copySet(
      asked.memory,
      targets.map(({ memory }) => memory),
      MEMORY,
      claim,
    );
  if (asked.cpu != null)
    copySet(
      asked.cpu,
      targets.map(({ cpu }) => cpu),
      CPU,
      claim,
    );
  for (const limit of asked.hugepage_limits ?? []) {
    owners.claimKey('HugepageLimits', limit.page_size ?? '', plugin);
    for (const target of targets)
      target.hugepage_limits = [
        ...target.hugepage_limits.filter(({ page_size }) => page_size !== limit.page_size),
        limit,
      ];
  }
  // Rules for devices have no owner.
  for (const target of targets) target.devices = [...target.devices, ...(asked.devices ?? [])];
  for (const [key, value] of Object.entries(asked.unified ?? {})) {
    owners.claimKey('CgroupsUnified', key, plugin);
    for (const target of targets) target.unified = { ...target.unified, [key]: value };
  }
  copySet(asked, targets, SINGLE, claim);
}

/** Copies the fields that are set; for these messages, '' means "not set". */
function copySet<T>(
  from: T,
  targets: readonly T[],
  fields: Claims<T>,
  claim: (field: FieldName) => void = () => undefined,
): void {
  for (const [name, field] of fields) {
    const value = from[name];
    if (value === undefined || value === null || value === '') continue;
    claim(field);
    for (const target of targets) target[name] = value;
  }
}
