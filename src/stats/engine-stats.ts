import Long from 'long';
import type { EngineBlkioEntry, EngineContainerStats } from '../engine/types';
import type { DetailReading, DeviceIo, InterfaceReading, UsageReading } from './readings';

/**
 * The Engine's one-shot stats → reading. The Engine passes memory.stat on as it is, so which keys there are depends on
 * the cgroup version of its machine: `total_…` is v1.
 * @param timestamp of our asking: the Engine's own may be of another clock.
 */
export function usageFromEngine(stats: EngineContainerStats, timestamp: Long): UsageReading | undefined {
  const { cpu_stats: cpu, memory_stats: memory } = stats;
  if (memory.usage === undefined) return undefined;
  const lines = memory.stats ?? {};
  const inactive = lines.total_inactive_file ?? lines.inactive_file ?? 0;
  return {
    cpu: { timestamp, usageNanos: nanos(cpu.cpu_usage.total_usage) },
    memory: {
      timestamp,
      usage: memory.usage,
      workingSet: Math.max(0, memory.usage - inactive),
      // v2 does not pass it on, and `limit` is the machine's memory where there is none: no limit rather than a wrong one.
      limit: bounded(lines.hierarchical_memory_limit),
      rss: lines.total_rss ?? lines.anon,
      pageFaults: lines.total_pgfault ?? lines.pgfault,
      majorPageFaults: lines.total_pgmajfault ?? lines.pgmajfault,
    },
    ...(lines.total_swap === undefined ? {} : { swap: { timestamp, usage: lines.total_swap } }),
  };
}

export function detailFromEngine(stats: EngineContainerStats, usage: UsageReading): DetailReading {
  const { cpu_stats: cpu, memory_stats: memory, pids_stats: pids } = stats;
  const lines = memory.stats ?? {};
  const isV1 = lines.total_cache !== undefined;
  return {
    usage,
    userNanos: nanos(cpu.cpu_usage.usage_in_usermode ?? 0),
    systemNanos: nanos(cpu.cpu_usage.usage_in_kernelmode ?? 0),
    periods: cpu.throttling_data?.periods,
    throttledPeriods: cpu.throttling_data?.throttled_periods,
    throttledNanos: nanos(cpu.throttling_data?.throttled_time ?? 0),
    cache: lines.total_cache ?? lines.file,
    mappedFile: lines.total_mapped_file ?? lines.file_mapped,
    kernel: isV1 ? undefined : (lines.kernel_stack ?? 0) + (lines.slab ?? 0),
    maxUsage: memory.max_usage,
    limitHits: memory.failcnt,
    ownPageFaults: isV1 ? lines.pgfault : undefined,
    ownMajorPageFaults: isV1 ? lines.pgmajfault : undefined,
    devices: devices(stats),
    tasks: pids?.current,
    tasksLimit: bounded(pids?.limit),
    hugePages: [],
  };
}

export function interfacesFromEngine({ networks = {} }: EngineContainerStats): InterfaceReading[] {
  return Object.entries(networks).map(([name, one]) => ({
    name,
    rxBytes: one.rx_bytes,
    rxPackets: one.rx_packets,
    rxErrors: one.rx_errors,
    rxDropped: one.rx_dropped,
    txBytes: one.tx_bytes,
    txPackets: one.tx_packets,
    txErrors: one.tx_errors,
    txDropped: one.tx_dropped,
  }));
}

function devices({ blkio_stats: blkio = {} }: EngineContainerStats): DeviceIo[] {
  const [bytes, operations] = [blkio.io_service_bytes_recursive ?? [], blkio.io_serviced_recursive ?? []];
  const names = new Set([...bytes, ...operations].map(({ major, minor }) => `${major}:${minor}`));
  return [...names].map((name) => {
    const of = (entries: EngineBlkioEntry[], operation: string): number =>
      entries
        .filter(({ major, minor, op }) => `${major}:${minor}` === name && op.toLowerCase() === operation)
        .reduce((sum, { value }) => sum + value, 0);
    const [major = '', minor = ''] = name.split(':');
    return {
      major,
      minor,
      readBytes: of(bytes, 'read'),
      writeBytes: of(bytes, 'write'),
      reads: of(operations, 'read'),
      writes: of(operations, 'write'),
    };
  });
}

function nanos(value: number): Long {
  return Long.fromNumber(value, true);
}

/** Nothing near 2^60 is a limit. */
function bounded(value: number | undefined): number | undefined {
  return value === undefined || value >= 2 ** 60 ? undefined : value;
}
