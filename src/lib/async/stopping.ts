import { messageOf, unavailable } from '../errors';
import type { LogFields, Logger } from '../logger';
import { waitAtMost } from './deadline';

/** Work that a gate has admitted and that is still running. */
export interface WorkInProgress {
  readonly name: string;
  /** How long the work has been running, in ms. */
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

  /**
   * Checks that the gate is open.
   * @throws UNAVAILABLE, with the reason of the close, when the gate is closed.
   */
  check(): void {
    if (this.reason !== undefined) throw unavailable(this.reason);
  }

  /** The running work, with the oldest first. */
  get inProgress(): readonly WorkInProgress[] {
    const now = performance.now();
    return [...this.inside.values()].map(({ name, since, about }) => ({
      name,
      age: now - since,
      about: about(),
    }));
  }

  /** The reason why no more work is admitted; undefined while the gate is open. */
  get closedFor(): string | undefined {
    return this.reason;
  }

  /**
   * Runs `work` if the gate is open.
   * @param about returns what the work is about. It is called only when somebody asks for the running work.
   * @throws UNAVAILABLE when the gate is closed.
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

  /** Refuses all further work. A second call does not change the reason. */
  close(reason: string): void {
    this.reason ??= reason;
  }

  /**
   * Resolves when no work is running, but after `ms` at the latest.
   * @returns the names of the work that is still running at that time.
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

/** Time in ms for a step that begins when the total time is already used up. Most steps need less. */
const LAST_CHANCE_MS = 100;

/** Ends the parts of a daemon one after the other. A part that fails or takes too long is logged and left behind. */
export class BoundedStop {
  private readonly endsAt: number;
  private left = false;

  /** @param totalMs time in ms for all steps together, from now on. */
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

  /**
   * Runs one step. Never rejects.
   * @param ms limit for this step. The step gets less time if the total time ends earlier.
   */
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
