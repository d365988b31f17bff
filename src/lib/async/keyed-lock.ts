import { abortable } from './abortable';

/**
 * A lock with one holder per key at a time. Callers get it in the order of their calls. Holders of different keys never wait
 * for each other, and a key that nobody holds uses no memory.
 */
export class KeyedLock {
  private readonly tails = new Map<string, Promise<void>>();

  /**
   * Runs `work` while holding `key`.
   * @param signal ends the wait, but not the work, with the signal's reason.
   */
  async run<T>(key: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const before = this.tails.get(key) ?? Promise.resolve();
    let release!: () => void;
    const mine = new Promise<void>((resolve) => (release = resolve));
    const tail = before.then(() => mine);
    this.tails.set(key, tail);
    // The next caller must wait for the whole queue before it, not only for this turn. Otherwise a caller that stopped waiting
    // would let the next caller in early.
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
