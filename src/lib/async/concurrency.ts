import { abortable } from './abortable';

/** Runs `work` for all items, at most `limit` at a time. If some fail, rejects with the first error after all have settled. */
export async function forEachLimited<T>(
  items: Iterable<T>,
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const all = [...items];
  await drawLimited(all.values(), Math.min(limit, all.length), work);
}

/** Like forEachLimited, but takes the next item from the iterator only when there is room for it. */
export async function drawLimited<T>(
  rest: IterableIterator<T>,
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const errors: unknown[] = [];
  const worker = async (): Promise<void> => {
    // All workers share one iterator.
    for (const item of rest) {
      try {
        await work(item);
      } catch (error) {
        errors.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: limit }, worker));
  if (errors.length > 0) throw errors[0];
}

/** Like Promise.all, but rejects only after all have settled, so that no work continues unnoticed. */
export async function allSettled<T extends readonly unknown[] | []>(
  work: T,
): Promise<{ -readonly [P in keyof T]: Awaited<T[P]> }> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

/** Like Array.map, for an asynchronous `work`, with at most `limit` calls at a time. Rejects like forEachLimited. */
export async function mapLimited<T, R>(
  items: Iterable<T>,
  limit: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  await forEachLimited([...items].entries(), limit, async ([at, item]) => {
    results[at] = await work(item);
  });
  return results;
}

/** Runs at most `limit` pieces of work at a time, in the order of the calls. */
export class Semaphore {
  private free: number;
  private readonly waiting: (() => void)[] = [];
  private readonly waitingForAll: (() => void)[] = [];

  constructor(private readonly limit: number) {
    this.free = limit;
  }

  /**
   * Runs `work` when a place is free.
   * @param signal ends the wait, but not the work, with the signal's reason.
   */
  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.free > 0) this.free--;
    else await this.wait(signal);
    try {
      return await work();
    } finally {
      this.leave();
    }
  }

  /**
   * Runs `work` alone. It begins when no other work is running; until then, callers of run() go first, even later ones. After it has
   * begun, other work waits until it has ended.
   */
  async runAlone<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.free < this.limit) {
      let enter!: () => void;
      const turn = new Promise<void>((resolve) => (enter = resolve));
      this.waitingForAll.push(enter);
      await abortable(turn, signal).catch((error: unknown) => {
        const place = this.waitingForAll.indexOf(enter);
        if (place >= 0) this.waitingForAll.splice(place, 1);
        else this.leaveAll();
        throw error;
      });
    } else this.free = 0;
    try {
      return await work();
    } finally {
      this.leaveAll();
    }
  }

  private leaveAll(): void {
    for (let turn = 0; turn < this.limit; turn++) this.leave();
  }

  private leave(): void {
    const next = this.waiting.shift();
    if (next !== undefined) next();
    else if (++this.free === this.limit) {
      const alone = this.waitingForAll.shift();
      if (alone === undefined) return;
      this.free = 0;
      alone();
    }
  }

  private async wait(signal: AbortSignal | undefined): Promise<void> {
    let enter!: () => void;
    const turn = new Promise<void>((resolve) => (enter = resolve));
    this.waiting.push(enter);
    try {
      await abortable(turn, signal);
    } catch (error) {
      const place = this.waiting.indexOf(enter);
      if (place >= 0) this.waiting.splice(place, 1);
      // The turn came in the same tick in which the wait ended, so the next caller gets the turn.
      else this.leave();
      throw error;
    }
  }
}
