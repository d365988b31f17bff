import { withDeadline } from '../lib/async/deadline';
import { hasCode } from '../lib/errors';
import { Semaphore } from '../lib/async/semaphore';
import type { EngineContainerStats } from '../engine/types';
import { detailFromEngine, interfacesFromEngine, usageFromEngine } from './engine-stats';
import type { InterfaceReading, UsageReading } from './readings';
import { CpuRate } from './cpu-rate';
import type { ReadingClock } from './reading-clock';
import type { Target, TargetDetail, UsageSource } from './usage-source';

/** A one-shot reading costs the Engine milliseconds of processor time: it gets few at a time. */
const CONCURRENCY = 4;
const ONE_READING_MS = 5_000;

/** What the fallback needs of the Engine. */
export interface EngineStats {
  containerStats(id: string, options: { signal: AbortSignal }): Promise<EngineContainerStats>;
}

/** Readings from the Engine, for one whose cgroup files are on another machine. */
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

  /** The Engine knows containers only. */
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
      // Gone meanwhile, or stuck in the Engine: the others must still get theirs.
      const isAlone = hasCode(error, 'NOT_FOUND') || hasCode(error, 'DEADLINE_EXCEEDED');
      if (isAlone || hasCode(error, 'FAILED_PRECONDITION')) return undefined;
      throw error;
    }
  }
}

/** The Engine does not tell where a container's group is: this is its place unless somebody asked for another. */
function defaultGroup(id: string): string {
  return `/docker/${id}`;
}
