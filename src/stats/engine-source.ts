import Long from 'long';
import type { EngineContainerStats, EngineBlkioEntry } from '../engine/types';
import { withDeadline } from '../lib/async/deadline';
import { Semaphore } from '../lib/async/concurrency';
import { hasCode } from '../lib/errors';
import { CpuRate } from './cpu-rate';
import type {
  InterfaceReading,
  UsageReading,
  ReadingClock,
  DetailReading,
  DeviceIo,
  Target,
  TargetDetail,
  UsageSource,
} from './readings';

/** How many readings run at the same time. Each costs the Engine some milliseconds of CPU time. */
const CONCURRENCY = 4;
const ONE_READING_MS = 5_000;

/** The Engine calls that this source needs. */
export interface EngineStats {
  containerStats(id: string, options: { signal: AbortSignal }): Promise<EngineContainerStats>;
}

/** Takes readings from the Engine, for an Engine whose cgroup files are on another machine. */
export class EngineSource implements UsageSource {
  private readonly rates = new Map<string, CpuRate>();
  private readonly slots = new Semaphore(CONCURRENCY);

  constructor(
    private readonly engine: EngineStats,
    private readonly clock: ReadingClock,
  ) {}

  async usage({ id }: Target, signal?: AbortSignal): Promise<UsageReading | undefined> {
    const stats = await this.ask(id, signal);
    return stats && this.toUsage(id, stats);
  }

  async detail({ id }: Target, signal?: AbortSignal): Promise<TargetDetail | undefined> {
    const stats = await this.ask(id, signal);
    const usage = stats && this.toUsage(id, stats);
    return usage && { ...detailFromEngine(stats, usage), cgroup: defaultGroup(id) };
  }

  async interfaces({ id }: Target, signal?: AbortSignal): Promise<InterfaceReading[] | undefined> {
    const stats = await this.ask(id, signal);
    return stats && interfacesFromEngine(stats);
  }

  cgroupName({ id }: Target): Promise<string> {
    return Promise.resolve(defaultGroup(id));
  }

  /** Returns undefined, because the Engine has stats only of containers. */
  podUsage(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  podDetail(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  processes(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  watch(): Promise<void> {
    return Promise.resolve();
  }

  forget(id: string): Promise<void> {
    this.rates.delete(id);
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private toUsage(id: string, stats: EngineContainerStats): UsageReading | undefined {
    const usage = usageFromEngine(stats, this.clock.now());
    if (usage?.cpu === undefined) return usage;
    const rate = this.rates.get(id) ?? new CpuRate();
    this.rates.set(id, rate);
    const nanoCores = rate.next(process.hrtime.bigint(), usage.cpu.usageNanos);
    return { ...usage, cpu: { ...usage.cpu, nanoCores } };
  }

  private async ask(id: string, signal: AbortSignal | undefined): Promise<EngineContainerStats | undefined> {
    try {
      return await this.slots.run(
        () =>
          withDeadline(`Stats of ${id}`, ONE_READING_MS, signal, (limit) =>
            this.engine.containerStats(id, { signal: limit }),
          ),
        signal,
      );
    } catch (error) {
      signal?.throwIfAborted();
      // The container is gone, or the call hangs in the Engine. This must not make the readings of other containers fail.
      const isAlone = hasCode(error, 'NOT_FOUND') || hasCode(error, 'DEADLINE_EXCEEDED');
      if (isAlone || hasCode(error, 'FAILED_PRECONDITION')) return undefined;
      throw error;
    }
  }
}

/** Returns the default path of a container's cgroup, because the Engine does not report the real path. */
function defaultGroup(id: string): string {
  return `/docker/${id}`;
}

/**
 * Converts the Engine's one-shot stats to a reading. The Engine passes memory.stat on unchanged, so its keys depend on the
 * cgroup version of the Engine's machine. Keys with `total_…` exist only on v1.
 * @param timestamp the time at which we asked, because the Engine's own timestamp may come from another clock.
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
      // On v2 the Engine does not report whether there is a limit: without one, `limit` is the machine's memory. Reporting no
      // limit is better than reporting a wrong limit.
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

/** Returns undefined for a number near or above 2^60, which means that there is no limit. */
function bounded(value: number | undefined): number | undefined {
  return value === undefined || value >= 2 ** 60 ? undefined : value;
}
