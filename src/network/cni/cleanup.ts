import { messageOf } from '../../lib/errors';
import type { Logger } from '../../lib/logger';

const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 60_000;

/** Frees the networks of sandboxes that nobody will ask for again, with growing pauses until it succeeds. */
export class Cleanup {
  private readonly pending = new Map<string, NodeJS.Timeout | undefined>();
  private closed = false;

  constructor(
    private readonly free: (sandboxId: string) => Promise<void>,
    private readonly logger: Logger,
  ) {}

  /** Returns at once. */
  request(sandboxId: string): void {
    if (this.closed || this.pending.has(sandboxId)) return;
    this.pending.set(sandboxId, undefined);
    void this.attempt(sandboxId, FIRST_RETRY_MS);
  }

  /** Somebody else has freed it. */
  done(sandboxId: string): void {
    clearTimeout(this.pending.get(sandboxId));
    this.pending.delete(sandboxId);
  }

  close(): void {
    this.closed = true;
    for (const timer of this.pending.values()) clearTimeout(timer);
    this.pending.clear();
  }

  private async attempt(sandboxId: string, retryMs: number): Promise<void> {
    try {
      await this.free(sandboxId);
      this.done(sandboxId);
    } catch (error) {
      if (this.closed) return;
      this.logger.warn('The network of a vanished pod could not be freed yet', {
        sandbox: sandboxId,
        error: messageOf(error),
        retry_ms: retryMs,
      });
      const next = (): void => void this.attempt(sandboxId, Math.min(2 * retryMs, LAST_RETRY_MS));
      const timer = setTimeout(next, retryMs);
      timer.unref();
      this.pending.set(sandboxId, timer);
    }
  }
}
