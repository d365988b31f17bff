/** Nanoseconds since the epoch; each answer is later than the one before, also when the clock is set back. */
export class RisingClock {
  private last = 0n;

  constructor(private readonly nowMs: () => number = Date.now) {}

  now(): bigint {
    const now = BigInt(this.nowMs()) * 1_000_000n;
    this.last = now > this.last ? now : this.last + 1n;
    return this.last;
  }
}
