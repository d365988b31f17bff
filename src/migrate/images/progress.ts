const UNITS = ['B', 'KB', 'MB', 'GB', 'TB'] as const;
/** The rate covers only this time, because a rate over the whole time would hide a stall. */
const WINDOW_MS = 10_000;

/** Formats a number of bytes with decimal units, as `docker images` does. */
export function bytesText(count: number): string {
  let [value, unit] = [count, 0];
  while (value >= 1000 && unit < UNITS.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit] ?? ''}`;
}

/** Formats a duration in ms, such as `0.2 s`, `42 s` or `3 min 5 s`. */
export function durationText(ms: number): string {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** Adds up what is carried, and estimates the time that is left. Times are in ms, and the caller reads the clock. */
export class Progress {
  private readonly samples: { readonly at: number; readonly bytes: number }[];
  private moved = 0;
  private done = 0;

  /** @param bytes the number of bytes to move, as far as it is known. */
  constructor(
    private readonly images: number,
    private bytes: number,
    start: number,
  ) {
    this.samples = [{ at: start, bytes: 0 }];
  }

  get movedBytes(): number {
    return this.moved;
  }

  add(bytes: number, now: number): void {
    this.moved += bytes;
    const last = this.samples.at(-1);
    // One sample in 100 ms is enough, and bounds their number.
    if (last !== undefined && now - last.at < 100) return;
    this.samples.push({ at: now, bytes: this.moved });
    while (this.samples.length > 2 && now - (this.samples[0]?.at ?? now) > WINDOW_MS) this.samples.shift();
  }

  /**
   * Counts an image as finished.
   * @param expected how many bytes it was expected to need.
   * @param actual how many bytes it needed. The difference corrects the total.
   */
  finish(expected: number, actual: number): void {
    this.done++;
    this.bytes += actual - expected;
  }

  /** Returns bytes per second, or undefined when too little is known. */
  rate(now: number): number | undefined {
    const first = this.samples[0];
    if (first === undefined || now - first.at < 500 || this.moved === first.bytes) return undefined;
    return ((this.moved - first.bytes) * 1000) / (now - first.at);
  }

  /** Returns the status line of a terminal. */
  line(now: number): string {
    const parts = [
      `${this.done} of ${this.images} images`,
      `${bytesText(this.moved)} of ${bytesText(Math.max(this.moved, this.bytes))}`,
    ];
    const rate = this.rate(now);
    if (rate !== undefined) {
      parts.push(`${bytesText(rate)}/s`);
      const left = this.bytes - this.moved;
      if (left > 0) parts.push(`${durationText((left * 1000) / rate)} left`);
    }
    return parts.join(' · ');
  }
}
