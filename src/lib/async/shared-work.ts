import { cancelled } from '../errors';
import { abortable } from './abortable';
import { sharedAbortController } from './deadline';

interface Shared<T> {
  readonly result: Promise<T>;
  readonly controller: AbortController;
  waiting: number;
}

/** Shares work between callers of the same key. It starts with the first and is aborted when the last has given up. */
export class SharedWork<T> {
  private readonly running = new Map<string, Shared<T>>();

  /**
   * Joins the work of `key`, or starts it.
   * @param work gets a signal that fires when nobody waits any more; a later caller starts new work.
   * @param signal ends this wait with its reason, and the work if this was the last wait.
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

/** Makes calls that come while `work` runs share its result. */
export function coalesce<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => {
    running ??= work().finally(() => (running = undefined));
    return running;
  };
}
