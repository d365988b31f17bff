import type Long from 'long';
import type { CpuReading, ReadingClock } from './readings';

/** Makes readings of one group's CPU time, each with the rate since an earlier reading. */
export class CpuMeter {
  private readonly rate = new CpuRate();

  constructor(private readonly clock: ReadingClock) {}

  reading(usageNanos: Long): CpuReading {
    const nanoCores = this.rate.next(process.hrtime.bigint(), usageNanos);
    return { timestamp: this.clock.now(), usageNanos, nanoCores };
  }
}

/** The shortest window of a rate. In a shorter window the scheduler's granularity would distort the rate. */
const SHORTEST_WINDOW_NANOS = 500_000_000n;
/**
 * The longest window of a rate. Over a longer window the rate would be out of date. A client that scrapes once a minute still
 * gets a rate.
 */
const LONGEST_WINDOW_NANOS = 90_000_000_000n;

interface Point {
  readonly atNanos: bigint;
  readonly usageNanos: Long;
}

/**
 * Computes CPU usage from two readings. Several clients read at different intervals (kubelet every 10 s, a scraper in between).
 * A reading that comes less than 0.5 s after the newer one therefore replaces neither of the two.
 */
export class CpuRate {
  private older: Point | undefined;
  private newer: Point | undefined;

  /**
   * @param atNanos monotonic (process.hrtime.bigint).
   * @returns nanoseconds of CPU time per second; undefined before the second reading that is at least 0.5 s after the first, if the
   * earlier reading is more than 90 s old, and for a counter that went back.
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
