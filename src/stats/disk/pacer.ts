/** The share of one processor that all walks may use together. */
const SHARE = 0.05;

/** Lets bursts of work pass one at a time, and rests after each so that all together stay below SHARE. */
export class Pacer {
  private queue: Promise<void> = Promise.resolve();

  constructor(private readonly rest: (ms: number) => Promise<void>) {}

  /** Runs `burst`, which is synchronous, when its turn has come. */
  run<T>(burst: () => T): Promise<T> {
    const mine = this.queue.then(() => {
      const start = performance.now();
      const result = burst();
      return { result, restMs: ((performance.now() - start) * (1 - SHARE)) / SHARE };
    });
    this.queue = mine.then(
      ({ restMs }) => this.rest(restMs),
      () => undefined,
    );
    return mine.then(({ result }) => result);
  }
}
