import { abortable } from '../../lib/async/abortable';
import { waitAtMost, withDeadline } from '../../lib/async/deadline';
import { KeyedLock } from '../../lib/async/keyed-lock';
import { Semaphore } from '../../lib/async/concurrency';
import { deadlineExceeded } from '../../lib/errors';

/**
 * Runs file calls on disks that may hang forever, such as a dead network disk. A hanging call occupies one of libuv's four
 * threads and cannot be cancelled. At most `limit` calls run at a time, and at most one per key. While `limit` calls are
 * overdue, or the call with the same key is overdue, further calls fail immediately and occupy no thread.
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
   * Runs a file call if fewer than `limit` calls are overdue and none of them has this key.
   * @param what the beginning of the error message.
   * @throws DEADLINE_EXCEEDED when the disk does not answer in time; the work may still be running.
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

interface Asked<T> {
  readonly answer: Promise<T | undefined>;
  /** True once a caller has waited without an answer, so that later callers need not wait. */
  isLate: boolean;
}

/**
 * Answers questions whose calls may hang forever and cannot be cancelled, such as a stat on a dead network disk, which occupies
 * one of libuv's four threads. At most one question per key, and `limit` questions in total, are pending. While a question is
 * overdue, callers get the previous answer.
 */
export class LastAnswers<T> {
  private readonly asked = new Map<string, Asked<T>>();
  private readonly last = new Map<string, T>();
  private readonly slots: Semaphore;

  constructor(
    private readonly ask: (key: string) => Promise<T>,
    limit: number,
    private readonly waitMs: number,
  ) {
    this.slots = new Semaphore(limit);
  }

  /** @returns undefined when the question failed, or when it was never answered in time. */
  async get(key: string): Promise<T | undefined> {
    const asked = this.asked.get(key) ?? this.start(key);
    if (asked.isLate) return this.last.get(key);
    try {
      return await waitAtMost(key, this.waitMs, asked.answer);
    } catch {
      asked.isLate = true;
      return this.last.get(key);
    }
  }

  /** Forgets the answers for all other keys. */
  retain(keys: ReadonlySet<string>): void {
    for (const key of this.last.keys()) if (!keys.has(key)) this.last.delete(key);
  }

  private start(key: string): Asked<T> {
    const asked = { answer: this.slots.run(() => this.answer(key)), isLate: false };
    this.asked.set(key, asked);
    return asked;
  }

  private async answer(key: string): Promise<T | undefined> {
    try {
      const answer = await this.ask(key);
      this.last.set(key, answer);
      return answer;
    } catch {
      this.last.delete(key);
      return undefined;
    } finally {
      this.asked.delete(key);
    }
  }
}
