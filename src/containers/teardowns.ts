import { abortable } from '../lib/async/abortable';
import { sharedAbortController } from '../lib/async/deadline';
import { KeyedLock } from '../lib/async/keyed-lock';
import { Semaphore } from '../lib/async/semaphore';
import type { Store } from '../store/store';
import { hasNetworkDeadlock } from '../translate/shared/engine-facts';

/**
 * The deadlock needs two sandboxes that end in the same instant, so it is rarer with few at once. With one at once, draining a
 * node would be slow.
 */
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
   * @param sandboxId a sandbox takes one turn, however often its end is tried again.
   * @param work gets the signal for its Engine calls. Where turns are taken, this is not the caller's signal. The Engine goes on
   * with a call that its caller has given up, so the turn lasts until the Engine has answered or the call has timed out.
   * @param signal gives up the wait for a turn and for the work.
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
