import { abortable, pause } from '../../lib/async/abortable';
import { messageOf } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import type { LayerReading, Target } from '../readings';
import type { MeasuredLayer } from './layer-source';

/** Two layers are measured at the same time, so that a small one need not wait for a huge one. */
const CONCURRENCY = 2;
/** A layer that changes is measured this often; an unchanged layer is measured less and less often. */
const SHORTEST_MS = 10_000;
const LONGEST_MS = 120_000;
/** A layer that took one second to measure rests for 200 seconds. */
const REST_PER_COST = 200;

export interface LayerTimes {
  readonly shortest: number;
  readonly longest: number;
}

interface Entry {
  readonly target: Target;
  dueAt: number;
  periodMs: number;
  isRunning: boolean;
  measured: MeasuredLayer | undefined;
  /** Called with the next measurement, or the end of the container. */
  waiting: (() => void)[];
}

/**
 * Decides when to measure which writable layer. A container that has just started comes first. After that, a layer that
 * grows is measured every 10 s and an unchanged one every 2 min, and expensive ones less often. Containers that have ended
 * are not measured any more; their last reading stays until they are removed.
 */
export class LayerBudget {
  private readonly entries = new Map<string, Entry>();
  private readonly stopped = new AbortController();
  private readonly sleepers = new Set<AbortController>();
  private workers: Promise<unknown> = Promise.resolve();
  /** The error that was logged last, until a measurement succeeds. */
  private told = '';
  private readonly times: LayerTimes;

  constructor(
    private readonly measure: (target: Target, signal: AbortSignal) => Promise<MeasuredLayer | undefined>,
    private readonly logger: Logger,
    times: Partial<LayerTimes> = {},
  ) {
    this.times = { shortest: SHORTEST_MS, longest: LONGEST_MS, ...times };
  }

  start(): void {
    this.workers = Promise.all(Array.from({ length: CONCURRENCY }, () => this.work()));
  }

  async close(): Promise<void> {
    this.stopped.abort();
    this.wake();
    for (const entry of this.entries.values()) answer(entry);
    await this.workers;
  }

  /** The container runs (again). */
  add(target: Target): void {
    const measured = this.entries.get(target.id)?.measured;
    const periodMs = this.times.shortest;
    this.entries.set(target.id, { target, dueAt: 0, periodMs, isRunning: true, measured, waiting: [] });
    this.wake();
  }

  /** The container has ended. */
  end(id: string): void {
    const entry = this.entries.get(id);
    if (entry === undefined) return;
    entry.isRunning = false;
    answer(entry);
  }

  /** The container is removed. */
  forget(id: string): void {
    this.end(id);
    this.entries.delete(id);
  }

  reading(id: string): LayerReading | undefined {
    return this.entries.get(id)?.measured?.reading;
  }

  /** The directory of its last measurement. */
  directory(id: string): string | undefined {
    return this.entries.get(id)?.measured?.directory;
  }

  /** Resolves once a running container has been measured for the first time, or has ended before. */
  async whenMeasured(id: string, signal: AbortSignal): Promise<void> {
    const entry = this.entries.get(id);
    if (entry === undefined || !entry.isRunning || entry.measured !== undefined) return;
    await abortable(new Promise<void>((resolve) => entry.waiting.push(resolve)), signal);
  }

  private async work(): Promise<void> {
    const { signal } = this.stopped;
    while (!signal.aborted) {
      const entry = this.nextDue();
      const waitMs = entry === undefined ? this.times.longest : entry.dueAt - performance.now();
      if (entry === undefined || waitMs > 0) {
        await this.untilWoken(waitMs);
        continue;
      }
      // Nobody else takes it meanwhile.
      entry.dueAt = Infinity;
      await this.measureOne(entry);
    }
  }

  private nextDue(): Entry | undefined {
    let next: Entry | undefined;
    for (const entry of this.entries.values()) {
      if (entry.isRunning && entry.dueAt < (next?.dueAt ?? Infinity)) next = entry;
    }
    return next;
  }

  private async measureOne(entry: Entry): Promise<void> {
    const before = entry.measured?.reading;
    try {
      const measured = await this.measure(entry.target, this.stopped.signal);
      const now = measured?.reading;
      const changed = now?.usedBytes !== before?.usedBytes || now?.inodesUsed !== before?.inodesUsed;
      entry.measured = measured ?? entry.measured;
      this.told = '';
      entry.periodMs = this.nextPeriod(entry.periodMs, changed, measured?.costMs ?? 0);
    } catch (error) {
      entry.periodMs = this.times.longest;
      if (!this.stopped.signal.aborted && messageOf(error) !== this.told) {
        // Logged once, not for each container of the node.
        this.told = messageOf(error);
        const { id: container } = entry.target;
        this.logger.warn('Cannot measure the writable layer of a container', {
          container,
          error: messageOf(error),
        });
      }
    }
    entry.dueAt = performance.now() + entry.periodMs;
    answer(entry);
  }

  private nextPeriod(periodMs: number, changed: boolean, costMs: number): number {
    const { shortest, longest } = this.times;
    const wanted = changed ? shortest : Math.min(periodMs * 2, longest);
    return Math.max(wanted, costMs * REST_PER_COST);
  }

  private async untilWoken(ms: number): Promise<void> {
    const sleeper = new AbortController();
    this.sleepers.add(sleeper);
    await pause(ms, sleeper.signal);
    this.sleepers.delete(sleeper);
  }

  private wake(): void {
    for (const sleeper of this.sleepers) sleeper.abort();
  }
}

function answer(entry: Entry): void {
  for (const resolve of entry.waiting.splice(0)) resolve();
}
