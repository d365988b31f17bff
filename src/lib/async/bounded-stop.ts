import { waitAtMost } from './deadline';
import { messageOf } from '../errors';
import type { Logger } from '../logger';

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
