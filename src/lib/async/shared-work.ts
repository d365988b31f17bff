import { cancelled } from '../errors';
import { abortable } from './abortable';
import { sharedAbortController } from './deadline';

interface Shared<T> {
  readonly result: Promise<T>;
  readonly controller: AbortController;
  waiting: number;
}

/**
 * Shares work between callers with the same key. The work starts with the first caller and is aborted when the last caller has
 * stopped waiting.
 */
export class SharedWork<T> {
  private readonly running = new Map<string, Shared<T>>();

  /**
   * Joins the work for `key`, or starts it.
   * @param work gets a signal that fires when nobody waits for the work anymore. A later caller starts new work.
   * @param signal ends this wait with its reason. If this was the last wait, it also ends the work.
   */
  async join(key: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const shared = this.running.get(key) ?? this.start(key, work);
    shared.waiting++;
    try {
      return await abortable(shared.result, signal);
    } finally {
      if (--shared.waiting === 0) {
        this.forget(key, shared);
        shared.controller.abort(cancelled('nobody waits for it any more'));
      }
    }
  }

  private start(key: string, work: (signal: AbortSignal) => Promise<T>): Shared<T> {
    const controller = sharedAbortController();
    const shared = { result: work(controller.signal), controller, waiting: 0 };
    this.running.set(key, shared);
    const forget = (): void => this.forget(key, shared);
    shared.result.then(forget, forget);
    return shared;
  }

  private forget(key: string, shared: Shared<T>): void {
    if (this.running.get(key) === shared) this.running.delete(key);
  }
}

/** Returns a function whose callers share the result of `work` if it is running already. */
export function coalesce<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => {
    running ??= work().finally(() => (running = undefined));
    return running;
  };
}
