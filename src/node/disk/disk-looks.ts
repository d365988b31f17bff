import { abortable } from '../../lib/async/abortable';
import { withDeadline } from '../../lib/async/deadline';
import { KeyedLock } from '../../lib/async/keyed-lock';
import { Semaphore } from '../../lib/async/semaphore';
import { deadlineExceeded } from '../../lib/errors';

/**
 * Runs file calls on disks that may hang for ever, such as a dead network disk. Such a call occupies one of libuv's four
 * threads and cannot be cancelled. At most `limit` calls run at a time, and one per key. While that many calls are overdue, or
 * the call of the same key is, further calls are refused at once and take no thread.
 */
export class DiskLooks {
  private readonly overdue = new Set<string>();
  private readonly slots: Semaphore;
  private readonly lock = new KeyedLock();

  constructor(
    private readonly limit: number,
    private readonly waitMs: number,
  ) {
    this.slots = new Semaphore(limit);
  }

  /** Keys of the calls that are overdue. */
  get hanging(): readonly string[] {
    return [...this.overdue];
  }

  /**
   * @param what beginning of the error message.
   * @throws DEADLINE_EXCEEDED when the disk does not answer in time; the work may still go on.
   */
  async run<T>(what: string, key: string, work: () => Promise<T>): Promise<T> {
    if (this.overdue.has(key) || this.overdue.size >= this.limit)
      throw deadlineExceeded(`${what} is not tried: the disk of ${this.hanging.join(', ')} does not answer`);
    return withDeadline(what, this.waitMs, undefined, (signal) => {
      let isAtWork = false;
      signal.addEventListener('abort', () => isAtWork && this.overdue.add(key), { once: true });
      const looked = async (): Promise<T> => {
        signal.throwIfAborted();
        isAtWork = true;
        try {
          return await work();
        } finally {
          isAtWork = false;
          this.overdue.delete(key);
        }
      };
      return abortable(
        this.lock.run(key, () => this.slots.run(looked, signal), signal),
        signal,
      );
    });
  }
}
