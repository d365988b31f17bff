import { unavailable } from '../errors';

/** Lets work in until it is closed, and knows what is still going on inside. */
export class WorkGate {
  private reason: string | undefined;
  private readonly inside = new Map<symbol, string>();
  private readonly waiting = new Set<() => void>();

  /** @throws UNAVAILABLE with the reason when it is closed. */
  check(): void {
    if (this.reason !== undefined) throw unavailable(this.reason);
  }

  /** @throws UNAVAILABLE when it is closed. */
  async run<T>(name: string, work: () => Promise<T>): Promise<T> {
    this.check();
    const key = Symbol(name);
    this.inside.set(key, name);
    try {
      return await work();
    } finally {
      this.inside.delete(key);
      if (this.inside.size === 0) for (const wake of this.waiting) wake();
    }
  }

  /** Nothing gets in from now on; the first reason stays. */
  close(reason: string): void {
    this.reason ??= reason;
  }

  /**
   * Resolves when nothing is inside any more, at the latest after `ms`.
   * @returns names of what is inside then.
   */
  async whenIdle(ms: number): Promise<string[]> {
    if (this.inside.size > 0) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          clearTimeout(timer);
          this.waiting.delete(done);
          resolve();
        };
        const timer = setTimeout(done, ms);
        this.waiting.add(done);
      });
    }
    return [...this.inside.values()];
  }
}
