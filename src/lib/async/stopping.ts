import { messageOf, unavailable } from '../errors';
import { waitAtMost } from './deadline';
import type { Logger } from '../logger';

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

/** A step that begins when the time is up gets this much: most need less. ms. */
const LAST_CHANCE_MS = 100;

/** Ends one thing after the other, whatever becomes of each: what fails or takes too long is told of and left behind. */
export class BoundedStop {
  private readonly endsAt: number;
  private left = false;

  /** @param totalMs for all steps together, from now on. */
  constructor(
    totalMs: number,
    private readonly logger: Logger,
  ) {
    this.endsAt = performance.now() + totalMs;
  }

  /** Whether something may still be at work. */
  get hasLeftSomething(): boolean {
    return this.left;
  }

  /** Never rejects. @param ms for this step, as far as there is time. */
  async step(what: string, ms: number, work: () => Promise<unknown>): Promise<void> {
    const left = Math.max(LAST_CHANCE_MS, this.endsAt - performance.now());
    try {
      // A step may also throw before it returns its promise.
      await waitAtMost(what, Math.round(Math.min(ms, left)), Promise.resolve().then(work));
    } catch (error) {
      this.left = true;
      this.logger.warn('Something does not stop and is left behind', { what, error: messageOf(error) });
    }
  }
}
