import { unavailable } from '../errors';
import type { LogFields } from '../logger';

/** Work that is going on inside. */
export interface WorkInProgress {
  readonly name: string;
  /** How long it has been inside, ms. */
  readonly age: number;
  readonly about: LogFields;
}

interface Inside {
  readonly name: string;
  readonly since: number;
  readonly about: () => LogFields;
}

/** Lets work in until it is closed, and knows what is still going on inside. */
export class WorkGate {
  private reason: string | undefined;
  private readonly inside = new Map<symbol, Inside>();
  private readonly waiting = new Set<() => void>();

  /** @throws UNAVAILABLE with the reason when it is closed. */
  check(): void {
    if (this.reason !== undefined) throw unavailable(this.reason);
  }

  /** Those that have been inside longest come first. */
  get inProgress(): readonly WorkInProgress[] {
    const now = performance.now();
    return [...this.inside.values()].map(({ name, since, about }) => ({
      name,
      age: now - since,
      about: about(),
    }));
  }

  /** Whether nothing gets in any more, and why; undefined while it is open. */
  get closedFor(): string | undefined {
    return this.reason;
  }

  /**
   * @param about says what the work is about; it is asked only when somebody looks.
   * @throws UNAVAILABLE when it is closed.
   */
  async run<T>(name: string, work: () => Promise<T>, about: () => LogFields = () => ({})): Promise<T> {
    this.check();
    const key = Symbol(name);
    this.inside.set(key, { name, since: performance.now(), about });
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
    return [...this.inside.values()].map(({ name }) => name);
  }
}
