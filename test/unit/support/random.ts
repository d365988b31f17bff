/** A seeded generator (mulberry32), which returns the same numbers on every run and machine. */
export class Random {
  constructor(private state: number) {}

  /** Returns a number in [0, 1). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Returns an integer from 0 to `limit` - 1. */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  text(alphabet: string, maxLength: number, minLength = 0): string {
    const length = minLength + this.below(maxLength - minLength + 1);
    return Array.from({ length }, () => this.pick(Array.from(alphabet))).join('');
  }

  list<T>(maxLength: number, make: () => T): T[] {
    return Array.from({ length: this.below(maxLength + 1) }, make);
  }

  map(maxSize: number, key: () => string, value: () => string): Record<string, string> {
    return Object.fromEntries(this.list(maxSize, () => [key(), value()]));
  }
}
