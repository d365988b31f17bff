import { abortable } from './abortable';

/**
 * A lock with one holder per key at a time, first come first served. Holders of different keys never wait for each other, and
 * a key that nobody holds takes no memory.
 */
export class KeyedLock {
  private readonly tails = new Map<string, Promise<void>>();

  /**
   * Runs `work` while holding `key`.
   * @param signal gives up the wait (not the work) with the signal's reason.
   */
  async run<T>(key: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const before = this.tails.get(key) ?? Promise.resolve();
    let release!: () => void;
    const mine = new Promise<void>((resolve) => (release = resolve));
    const tail = before.then(() => mine);
    this.tails.set(key, tail);
    // This waits for the whole queue, not for this turn: a waiter that gave up must not let the next one in early.
    void tail.then(() => {
      if (this.tails.get(key) === tail) this.tails.delete(key);
    });
    try {
      await abortable(before, signal);
      return await work();
    } finally {
      release();
    }
  }
}
