import type Long from 'long';
import type { CpuReading } from '../readings';
import { CpuRate } from '../cpu-rate';
import type { ReadingClock } from '../reading-clock';

/** Makes readings of one group's processor time, each with the rate since an earlier one. */
export class CpuMeter {
  private readonly rate = new CpuRate();

  constructor(private readonly clock: ReadingClock) {}

  reading(usageNanos: Long): CpuReading {
    const nanoCores = this.rate.next(process.hrtime.bigint(), usageNanos);
    return { timestamp: this.clock.now(), usageNanos, nanoCores };
  }
}
