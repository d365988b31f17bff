import { abortable } from '../lib/async/abortable';
import { sharedAbortController } from '../lib/async/deadline';
import { KeyedLock } from '../lib/async/keyed-lock';
import { Semaphore } from '../lib/async/semaphore';
import type { Store } from '../store/store';
import { hasNetworkDeadlock } from '../translate/shared/engine-facts';

/** The deadlock needs two sandboxes that end in the same instant: the fewer at once, the rarer. One would make a node's drain long. */
const AT_ONCE = 4;

/**
 * Ends sandboxes a few at a time on Engines whose networks can deadlock when many end at once (docs/adr/0064); all at once
 * on others. Only sandboxes count: the other containers of a pod have no network of their own.
 */
export class Teardowns {
  private readonly turns = new Semaphore(AT_ONCE);
  private readonly sandboxes = new KeyedLock();

  constructor(private readonly store: Pick<Store, 'engineVersion'>) {}

  /**
   * @param sandboxId takes one turn, however often it is tried again.
   * @param work is given the signal for its calls of the Engine. Where turns are taken that is not the caller's: the Engine
   * goes on with what a caller has given up, and the turn lasts until it has answered, or its call has reached the limit of
   * all calls of the Engine.
   * @param signal gives up the wait.
   */
  async run<T>(
    sandboxId: string,
    work: (signal: AbortSignal) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    const own = sharedAbortController().signal;
    if (!hasNetworkDeadlock(this.store.engineVersion ?? '')) return work(signal ?? own);
    signal?.throwIfAborted();
    const turn = (): Promise<T> => this.turns.run(() => work(own), signal);
    return abortable(this.sandboxes.run(sandboxId, turn, signal), signal);
  }
}
