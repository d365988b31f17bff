import type { nri } from '../../proto/nri';
import { refuse, toSafeInteger, wrong } from './refuse';

/** Limits that plugins change. An absent field stays as it is. Everything but `hugepages` and `unified` has a field in the Engine API. */
export interface ResourceChanges {
  /** The three limits of memory are in bytes. */
  readonly memory?: number;
  /** Memory plus swap; -1 is unlimited. */
  readonly memorySwap?: number;
  readonly memoryReservation?: number;
  readonly cpuShares?: number;
  /** Quota and period are in microseconds; -1 is no quota. */
  readonly cpuQuota?: number;
  readonly cpuPeriod?: number;
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
  /** -1 is unlimited. */
  readonly pids?: number;
  /** Bytes by the size of the page, such as `2MB`. dockbridge itself writes them and `unified`. */
  readonly hugepages: Readonly<Record<string, string>>;
  /** Raw values of cgroup v2. */
  readonly unified: Readonly<Record<string, string>>;
}

/**
 * Translates the resources of an adjustment, without its rules for devices, or those of an update.
 * @throws RuntimeError UNIMPLEMENTED with the name of the field that Docker Engine cannot carry.
 */
export function toResourceChanges(resources: nri.ILinuxResources, field: string): ResourceChanges {
  const memory = resources.memory ?? {};
  const cpu = resources.cpu ?? {};
  refuseUnsupported(resources, memory, cpu, field);
  const number = (
    name: string,
    at: string,
    value: { value?: nri.IOptionalInt64['value'] | null } | null | undefined,
  ): Record<string, number> =>
    value?.value == null ? {} : { [name]: toSafeInteger(value.value, `${field}.${at}`) };
  return {
    ...number('memory', 'memory.limit', memory.limit),
    ...number('memorySwap', 'memory.swap', memory.swap),
    ...number('memoryReservation', 'memory.reservation', memory.reservation),
    ...number('cpuShares', 'cpu.shares', cpu.shares),
    ...number('cpuQuota', 'cpu.quota', cpu.quota),
    ...number('cpuPeriod', 'cpu.period', cpu.period),
    ...(cpu.cpus == null || cpu.cpus === '' ? {} : { cpusetCpus: cpuset(cpu.cpus, `${field}.cpu.cpus`) }),
    ...(cpu.mems == null || cpu.mems === '' ? {} : { cpusetMems: cpuset(cpu.mems, `${field}.cpu.mems`) }),
    ...(resources.pids == null
      ? {}
      : { pids: toSafeInteger(resources.pids.limit ?? 0, `${field}.pids.limit`) }),
    hugepages: Object.fromEntries(
      (resources.hugepage_limits ?? []).map(({ page_size, limit }, index): [string, string] => {
        const size = page_size ?? '';
        if (!/^\d+[KMG]B$/.test(size))
          throw wrong(`${field}.hugepage_limits[${index}].page_size`, 'is not a size like 2MB');
        return [size, String(limit ?? 0)];
      }),
    ),
    unified: unified(resources.unified ?? {}, field),
  };
}

function refuseUnsupported(
  resources: nri.ILinuxResources,
  memory: nri.ILinuxMemory,
  cpu: nri.ILinuxCPU,
  field: string,
): void {
  for (const name of ['kernel', 'kernel_tcp', 'swappiness', 'use_hierarchy'] as const)
    if (memory[name] != null)
      throw refuse(`${field}.memory.${name}`, 'Docker Engine has no such limit on cgroup v2');
  if (memory.disable_oom_killer?.value === true)
    throw refuse(`${field}.memory.disable_oom_killer`, 'cgroup v2 always kills when memory runs out');
  for (const name of ['realtime_runtime', 'realtime_period'] as const)
    if (cpu[name] != null) throw refuse(`${field}.cpu.${name}`, 'cgroup v2 has no real-time limits');
  for (const name of ['blockio_class', 'rdt_class'] as const)
    if ((resources[name]?.value ?? '') !== '')
      throw refuse(`${field}.${name}`, 'dockbridge has no classes of this kind');
}

function cpuset(list: string, field: string): string {
  if (!/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(list))
    throw wrong(field, `${JSON.stringify(list)} is no list like 0-3,7`);
  return list;
}

/** Refuses what dockbridge also refuses from kubelet: only limits, and only single lines. */
function unified(values: Readonly<Record<string, string>>, field: string): Readonly<Record<string, string>> {
  for (const [key, value] of Object.entries(values)) {
    const name = `${field}.unified[${JSON.stringify(key.slice(0, 100))}]`;
    if (!/^[a-z]+(\.[a-z0-9_]+)+$/.test(key) || key.startsWith('cgroup.'))
      throw refuse(name, 'is not a limit of cgroup v2');
    if (value === '' || value.length > 4096 || /[\0\n]/.test(value))
      throw wrong(name, 'is not a single line');
  }
  return values;
}
