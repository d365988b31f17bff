import type Long from 'long';
import type { CpuReading, ReadingClock } from './readings';

/** Makes readings of one group's processor time, each with the rate since an earlier one. */
export class CpuMeter {
  private readonly rate = new CpuRate();

  constructor(private readonly clock: ReadingClock) {}

  reading(usageNanos: Long): CpuReading {
    const nanoCores = this.rate.next(process.hrtime.bigint(), usageNanos);
    return { timestamp: this.clock.now(), usageNanos, nanoCores };
  }
}

/** Shortest window of a rate; below it the scheduler's granularity distorts the rate. */
const SHORTEST_WINDOW_NANOS = 500_000_000n;
/** Longest window of a rate; above it the rate is out of date. A scraper that comes every minute still gets one. */
const LONGEST_WINDOW_NANOS = 90_000_000_000n;

interface Point {
  readonly atNanos: bigint;
  readonly usageNanos: Long;
}

/**
 * Processor use from two readings. Several clients read at their own pace (kubelet each 10 s, a scraper between them),
 * so the older point is replaced only once the newer one is far enough from it.
 */
export class CpuRate {
  private older: Point | undefined;
  private newer: Point | undefined;

  /**
   * @param atNanos monotonic (process.hrtime.bigint).
   * @returns nanoseconds of processor time a second; undefined for the first reading, one too soon or too long
   * after the one before, or a counter that went back.
   */
  next(atNanos: bigint, usageNanos: Long): number | undefined {
    if (this.newer === undefined || atNanos - this.newer.atNanos >= SHORTEST_WINDOW_NANOS) {
      this.older = this.newer;
      this.newer = { atNanos, usageNanos };
    }
    if (this.older === undefined) return undefined;
    if (atNanos - this.older.atNanos > LONGEST_WINDOW_NANOS) return undefined;
    const used = usageNanos.sub(this.older.usageNanos).toNumber();
    const elapsed = Number(atNanos - this.older.atNanos);
    return elapsed <= 0 || usageNanos.lessThan(this.older.usageNanos)
      ? undefined
      : Math.round((used / elapsed) * 1e9);
  }
}
