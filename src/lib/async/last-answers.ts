import { waitAtMost } from './deadline';
import { Semaphore } from './semaphore';

interface Asked<T> {
  readonly answer: Promise<T | undefined>;
  /** A caller has waited in vain, so later callers do not wait. */
  isLate: boolean;
}

/**
 * Answers to questions that may hang for ever and cannot be cancelled, such as a stat of a dead network disk, which occupies
 * one of libuv's four threads. At most one question per key and `limit` in all are pending; meanwhile the last answer counts.
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

  /** @returns undefined when the question failed, or was never answered in time. */
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
