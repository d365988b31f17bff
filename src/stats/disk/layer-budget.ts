import { abortable, pause } from '../../lib/async/abortable';
import { messageOf } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import type { LayerReading, Target } from '../readings';
import type { MeasuredLayer } from './layer-source';

/** How many layers are measured at the same time. There are two, so that a small layer need not wait for a huge one. */
const CONCURRENCY = 2;
/** The interval in ms at which a changing layer is measured. An unchanged layer is measured less and less often. */
const SHORTEST_MS = 10_000;
const LONGEST_MS = 120_000;
/**
 * After a measurement, a layer is left alone for this many times the measurement's duration: 200 s after a measurement of 1 s.
 */
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
  /** Called at the next measurement, or when the container ends. */
  waiting: (() => void)[];
}

/**
 * Decides when to measure which writable layer. Containers that have just started come first. After that, a changing layer is
 * measured every 10 s, and an unchanged layer less and less often, down to every 2 min. A layer that takes a long time to measure is
 * measured less often. Containers that have ended are not measured anymore. Their last reading stays until they are removed.
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

  /** Called when the container has been started or restarted. */
  add(target: Target): void {
    const measured = this.entries.get(target.id)?.measured;
    const periodMs = this.times.shortest;
    this.entries.set(target.id, { target, dueAt: 0, periodMs, isRunning: true, measured, waiting: [] });
    this.wake();
  }

  /** Called when the container has ended. */
  end(id: string): void {
    const entry = this.entries.get(id);
    if (entry === undefined) return;
    entry.isRunning = false;
    answer(entry);
  }

  /** Called when the container is removed. */
  forget(id: string): void {
    this.end(id);
    this.entries.delete(id);
  }

  reading(id: string): LayerReading | undefined {
    return this.entries.get(id)?.measured?.reading;
  }

  /** Returns the directory of the container's last measurement. */
  directory(id: string): string | undefined {
    return this.entries.get(id)?.measured?.directory;
  }

  /** Resolves when a running container has been measured for the first time, or has ended before that. */
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
      // Infinity keeps the other measurers from choosing this layer while it is measured.
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
        // The error is logged once, and not for each container of the node.
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
