import Long from 'long';
import { nanosFromMillis } from '../translate/shared/time';

/** Nanoseconds since the epoch, no two the same: crictl and kubelet take equal timestamps for a reading not renewed. */
export class ReadingClock {
  private lastMillis = 0;
  private last = Long.ZERO;

  constructor(private readonly nowMillis: () => number = Date.now) {}

  now(): Long {
    const millis = this.nowMillis();
    this.last = millis === this.lastMillis ? this.last.add(1) : nanosFromMillis(millis);
    this.lastMillis = millis;
    return this.last;
  }
}
