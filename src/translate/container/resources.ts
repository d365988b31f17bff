import Long from 'long';
import type { EngineHostConfig, EngineResources } from '../../engine/types';
import { invalidArgument } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import type { KernelValues, ResourcesRecord } from '../../store/records';
import { integer, withoutNul } from '../shared/validate';
import { PIDS_KEY, SWAP_KEY } from './kernel-values';

type Resources = Decoded<cri.ILinuxContainerResources>;

/** The kernel's limits of oom_score_adj. */
const OOM_MIN = -1000;
const OOM_MAX = 1000;

/**
 * Converts LinuxContainerResources to the Engine's form. 0 and '' mean "not set".
 * @param oomFloor the lowest oom_score_adj that the kernel allows dockbridge to set.
 */
export function toEngineResources(
  resources: Resources | null,
  field: string,
  oomFloor: number,
): EngineHostConfig {
  if (resources === null) return {};
  const limits = toLimits(resources, field);
  const swap = swapLimit(limits.Memory, resources, field) ?? limits.Memory;
  if (swap > 0 && limits.Memory === 0)
    throw invalidArgument(`${field}.memory_swap_limit_in_bytes`, 'needs memory_limit_in_bytes');
  return {
    ...limits,
    MemorySwap: swap,
    OomScoreAdj: clampOomScore(
      integer(resources.oom_score_adj, `${field}.oom_score_adj`, OOM_MIN, OOM_MAX),
      oomFloor,
    ),
  };
}

/** Returns `known` with the memory limits of an update that the Engine has accepted. */
export function updatedMemory(known: ResourcesRecord, update: EngineResources | undefined): ResourcesRecord {
  return {
    ...known,
    memoryLimit: update?.Memory ?? known.memoryLimit,
    memorySwapLimit: update?.MemorySwap ?? known.memorySwapLimit,
  };
}

/** The limits of the kernel's scheduler, in microseconds. */
const [MIN_PERIOD, MAX_PERIOD, MIN_QUOTA] = [1_000, 1_000_000, 1_000];
const [MIN_SHARES, MAX_SHARES] = [2, 262_144];

/** Returns all limits except swap, which depends on the resulting memory limit. */
function toLimits(
  resources: Resources,
  field: string,
): Required<Omit<EngineResources, 'MemorySwap' | 'PidsLimit'>> & { PidsLimit?: number } {
  const positive = (value: Resources['cpu_shares'], name: string): number =>
    integer(value, `${field}.${name}`, 0, Number.MAX_SAFE_INTEGER);
  return {
    CpuPeriod: isSet(resources.cpu_period)
      ? integer(resources.cpu_period, `${field}.cpu_period`, MIN_PERIOD, MAX_PERIOD)
      : 0,
    CpuQuota: cpuQuota(resources.cpu_quota, `${field}.cpu_quota`),
    CpuShares: isSet(resources.cpu_shares)
      ? integer(resources.cpu_shares, `${field}.cpu_shares`, MIN_SHARES, MAX_SHARES)
      : 0,
    CpusetCpus: cpuset(resources.cpuset_cpus, `${field}.cpuset_cpus`),
    CpusetMems: cpuset(resources.cpuset_mems, `${field}.cpuset_mems`),
    Memory: positive(resources.memory_limit_in_bytes, 'memory_limit_in_bytes'),
    ...pidsLimit(resources.unified[PIDS_KEY], `${field}.unified["${PIDS_KEY}"]`),
  };
}

function isSet(value: Resources['cpu_shares']): boolean {
  return value.toNumber() !== 0;
}

/** Checks a CPU quota. For both the kernel and the Engine, 0 means "not set" and -1 means "unlimited". */
function cpuQuota(value: Resources['cpu_quota'], field: string): number {
  const quota = integer(value, field, -1, Number.MAX_SAFE_INTEGER);
  return quota <= 0 ? quota : integer(value, field, MIN_QUOTA, Number.MAX_SAFE_INTEGER);
}

/**
 * Returns the limit of processes. CRI has only the raw value of cgroup v2 for it, but the Engine has a field, which also
 * works on cgroup v1.
 */
function pidsLimit(value: string | undefined, field: string): { PidsLimit?: number } {
  if (value === undefined) return {};
  if (value !== 'max' && !/^[1-9]\d{0,8}$/.test(value))
    throw invalidArgument(field, 'is not a number of processes');
  return { PidsLimit: value === 'max' ? -1 : Number(value) };
}

/**
 * Converts UpdateContainerResources to the body of the Engine's update call. The body contains only what changes, because
 * 0 and '' mean "unchanged". The Engine cannot change `oom_score_adj`.
 * @returns undefined if nothing changes.
 */
export function toEngineUpdate(
  resources: Resources,
  current: ResourcesRecord,
  field: string,
): EngineResources | undefined {
  const limits = toLimits(resources, field);
  const memory = limits.Memory === 0 ? current.memoryLimit : limits.Memory;
  const unsaid = memory === current.memoryLimit ? 0 : withSameSwap(memory, current);
  const update = { ...limits, MemorySwap: swapLimit(memory, resources, field) ?? unsaid };
  const changes = Object.entries(update).filter(([, value]) => value !== 0 && value !== '');
  return changes.length === 0 ? undefined : Object.fromEntries(changes);
}

/** Returns memory plus swap when only the memory limit changes. The amount of swap then stays the same. */
function withSameSwap(memory: number, { memoryLimit, memorySwapLimit }: ResourcesRecord): number {
  if (memorySwapLimit === -1) return -1;
  return memoryLimit === 0 ? memory : memory + Math.max(memorySwapLimit - memoryLimit, 0);
}

/**
 * Returns the Engine's limit, which is memory plus swap. cgroup v2's `memory.swap.max`, which kubelet sends, is swap
 * alone.
 * @returns undefined if the request does not mention swap. In that case a new container with a memory limit gets no swap,
 * as kubelet expects (and as in cri-dockerd), and an update leaves swap unchanged.
 */
function swapLimit(memory: number, resources: Resources, field: string): number | undefined {
  const swap = integer(
    resources.memory_swap_limit_in_bytes,
    `${field}.memory_swap_limit_in_bytes`,
    -1,
    Number.MAX_SAFE_INTEGER,
  );
  const only = resources.unified[SWAP_KEY];
  if (swap > 0 && swap < memory) {
    throw invalidArgument(
      `${field}.memory_swap_limit_in_bytes`,
      `${swap} is the sum of memory and swap, but less than the memory alone (${memory})`,
    );
  }
  if (only === undefined || swap !== 0) return swap === 0 ? undefined : swap;
  if (only === 'max') return -1;
  if (!/^\d{1,15}$/.test(only))
    throw invalidArgument(`${field}.unified["${SWAP_KEY}"]`, `"${only}" is not a size`);
  // Without a memory limit, dockbridge writes the swap limit itself (translate/container/kernel-values.ts).
  return memory === 0 ? 0 : memory + Number(only);
}

/** Checks a cpuset here, because the Engine's refusal would not name the field. */
function cpuset(text: string, field: string): string {
  const isRange = (part: string): boolean => {
    const [, low, high] = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(part) ?? [];
    return low !== undefined && Number(low) <= Number(high ?? low);
  };
  if (text === '' || text.split(',').every(isRange)) return text;
  throw invalidArgument(field, `${JSON.stringify(text.slice(0, 100))} is not a list of numbers like 0-3,6`);
}

export function clampOomScore(wanted: number, floor: number): number {
  return Math.max(wanted, floor);
}

/**
 * Reads resources back from the Engine's form.
 * @param kernel the values that the Engine does not know, from dockbridge's label.
 */
export function fromEngineResources(
  host: EngineHostConfig,
  kernel: KernelValues = { hugepages: {}, unified: {} },
): ResourcesRecord {
  return {
    ...kernel,
    pidsLimit: Math.max(host.PidsLimit ?? 0, 0),
    cpuPeriod: host.CpuPeriod ?? 0,
    cpuQuota: host.CpuQuota ?? 0,
    cpuShares: host.CpuShares ?? 0,
    memoryLimit: host.Memory ?? 0,
    memorySwapLimit: host.MemorySwap ?? 0,
    oomScoreAdj: host.OomScoreAdj ?? 0,
    cpusetCpus: host.CpusetCpus ?? '',
    cpusetMems: host.CpusetMems ?? '',
  };
}

export function toCriResources(resources: ResourcesRecord): cri.IContainerResources {
  return {
    linux: {
      cpu_period: resources.cpuPeriod,
      cpu_quota: resources.cpuQuota,
      cpu_shares: resources.cpuShares,
      memory_limit_in_bytes: resources.memoryLimit,
      memory_swap_limit_in_bytes: resources.memorySwapLimit,
      oom_score_adj: resources.oomScoreAdj,
      cpuset_cpus: resources.cpusetCpus,
      cpuset_mems: resources.cpusetMems,
      hugepage_limits: Object.entries(resources.hugepages).map(([page_size, limit]) => ({
        page_size,
        limit: Long.fromString(limit, true),
      })),
      unified: {
        ...resources.unified,
        ...(resources.pidsLimit === 0 ? {} : { [PIDS_KEY]: String(resources.pidsLimit) }),
      },
    },
  };
}

/** The kernel's limits for a path and for a name in a path, in bytes. */
const MAX_PATH = 4095;
const MAX_NAME = 255;

/**
 * Checks a cgroup parent.
 * @throws INVALID_ARGUMENT for a path that no file system accepts.
 */
export function checkCgroupParent(cgroupParent: string, field: string): string {
  withoutNul(cgroupParent, field);
  if (Buffer.byteLength(cgroupParent) > MAX_PATH)
    throw invalidArgument(field, `is longer than ${MAX_PATH} bytes`);
  for (const name of cgroupParent.split('/')) {
    if (Buffer.byteLength(name) > MAX_NAME)
      throw invalidArgument(field, `a name in it is longer than ${MAX_NAME} bytes`);
    // Together with a container's id, such a path would lead to another cgroup than the named one.
    if (name === '..') throw invalidArgument(field, `${JSON.stringify(cgroupParent)} leads upwards`);
  }
  return cgroupParent;
}

/**
 * Converts a cgroup parent to the Engine's form. kubelet sends `/kubepods/burstable/pod…` for cgroupfs and a path of slices for
 * systemd. The Engine's systemd driver accepts only the last slice, whose name contains the others.
 * @throws INVALID_ARGUMENT if the systemd driver needs a slice and the path does not end with one, because kubelet is
 * configured with another driver.
 */
export function toEngineCgroupParent(cgroupParent: string, cgroupDriver: string, field: string): string {
  if (cgroupDriver !== 'systemd') return cgroupParent;
  const last = cgroupParent.split('/').findLast((slice) => slice !== '') ?? '';
  if (last !== '' && !/^[\w:.\\@-]+\.slice$/.test(last)) {
    throw invalidArgument(
      field,
      `${JSON.stringify(last.slice(0, 100))} is not a slice (NAME.slice), which the Engine's cgroup driver systemd needs`,
    );
  }
  return last;
}
