import { invalidArgument, unsupported } from '../lib/errors';
import type { cri, Decoded } from '../proto';
import type { ResourcesRecord } from '../store/records';
import type { EngineHostConfig } from './engine';
import { integer } from './validate';

type Resources = Decoded<cri.ILinuxContainerResources>;

/** Kernel limits of oom_score_adj. */
const OOM_MIN = -1000;
const OOM_MAX = 1000;

/**
 * LinuxContainerResources → HostConfig. 0 and '' mean "not set".
 * @param oomFloor the lowest oom_score_adj that the kernel lets us set here (design.md, decision 9).
 */
export function toEngineResources(
  resources: Resources | null,
  field: string,
  oomFloor: number,
): EngineHostConfig {
  if (resources === null) return {};
  refuseUnsupported(resources, field);
  const positive = (value: Resources['cpu_shares'], name: string): number =>
    integer(value, `${field}.${name}`, 0, Number.MAX_SAFE_INTEGER);
  const memory = positive(resources.memory_limit_in_bytes, 'memory_limit_in_bytes');
  // -1 is "unlimited" to kernel and Engine alike.
  const swap = integer(
    resources.memory_swap_limit_in_bytes,
    `${field}.memory_swap_limit_in_bytes`,
    -1,
    Number.MAX_SAFE_INTEGER,
  );
  return {
    CpuPeriod: positive(resources.cpu_period, 'cpu_period'),
    CpuQuota: integer(resources.cpu_quota, `${field}.cpu_quota`, -1, Number.MAX_SAFE_INTEGER),
    CpuShares: positive(resources.cpu_shares, 'cpu_shares'),
    CpusetCpus: cpuset(resources.cpuset_cpus, `${field}.cpuset_cpus`),
    CpusetMems: cpuset(resources.cpuset_mems, `${field}.cpuset_mems`),
    Memory: memory,
    // Without a word about swap a memory limit means no swap, as kubelet expects (and cri-dockerd does).
    MemorySwap: swap === 0 ? memory : swap,
    OomScoreAdj: clampOomScore(
      integer(resources.oom_score_adj, `${field}.oom_score_adj`, OOM_MIN, OOM_MAX),
      oomFloor,
    ),
  };
}

/** The Engine's own refusal would not name the field. */
function cpuset(text: string, field: string): string {
  if (/^[0-9,-]*$/.test(text)) return text;
  throw invalidArgument(field, `${JSON.stringify(text.slice(0, 100))} is not a list of numbers like 0-3,6`);
}

export function clampOomScore(wanted: number, floor: number): number {
  return Math.max(wanted, floor);
}

export function fromEngineResources(host: EngineHostConfig): ResourcesRecord {
  return {
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
    },
  };
}

function refuseUnsupported(resources: Resources, field: string): void {
  for (const [index, limit] of resources.hugepage_limits.entries()) {
    // kubelet names every page size of the node, nearly always with 0 (cri-surface.md 3.3): nothing to enforce then.
    if (!limit.limit.isZero()) {
      throw unsupported(`${field}.hugepage_limits[${index}]`, 'Docker Engine cannot limit huge pages');
    }
  }
  if (Object.keys(resources.unified).length > 0) {
    throw unsupported(`${field}.unified`, 'Docker Engine takes no raw cgroup v2 values');
  }
}
