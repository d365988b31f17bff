import { messageOf, unavailable } from '../errors';
import type { LogFields, Logger } from '../logger';
import { waitAtMost } from './deadline';

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

/** Admits work until it is closed, and knows which work is still running. */
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

  /** Refuses all further work; the reason of the first call stays. */
  close(reason: string): void {
    this.reason ??= reason;
  }

  /**
   * Resolves when no work is running, and after `ms` at the latest.
   * @returns the names of the work that is still running then.
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

/** Time for a step that begins when the total time is up, ms. Most steps need less. */
const LAST_CHANCE_MS = 100;

/** Ends the parts of a daemon one after the other. A part that fails or takes too long is logged and left behind. */
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

  /** Whether a part may still be running. */
  get hasLeftSomething(): boolean {
    return this.left;
  }

  /** Never rejects. @param ms limit for this step; less if the total time is up before. */
  async step(part: string, ms: number, work: () => Promise<unknown>): Promise<void> {
    const left = Math.max(LAST_CHANCE_MS, this.endsAt - performance.now());
    try {
      // A step may also throw before it returns its promise.
      await waitAtMost(part, Math.round(Math.min(ms, left)), Promise.resolve().then(work));
    } catch (error) {
      this.left = true;
      this.logger.warn('A part of dockbridge does not stop and is left behind', {
        part,
        error: messageOf(error),
      });
    }
  }
}
