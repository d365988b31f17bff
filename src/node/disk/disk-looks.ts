import { abortable } from '../../lib/async/abortable';
import { withDeadline } from '../../lib/async/deadline';
import { deadlineExceeded } from '../../lib/errors';
import { KeyedLock } from '../../lib/async/keyed-lock';
import { Semaphore } from '../../lib/async/semaphore';

/**
 * File calls at disks that may hang for ever, as a dead network disk does, where each call keeps one of libuv's four
 * threads and cannot be taken back. At most `limit` are under way, one a key; while so many are overdue, or the one of the
 * same key is, further ones are refused at once and take no thread.
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

  /** Keys of the calls that have not returned in time. */
  get hanging(): readonly string[] {
    return [...this.overdue];
  }

  /**
   * @param what begins the message of the error.
   * @throws DEADLINE_EXCEEDED when the disk does not answer in time; the work may then go on all the same.
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
