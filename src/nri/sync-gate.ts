import { Semaphore } from '../lib/async/concurrency';

/** How many operations on pods and containers may run at a time. kubelet has far fewer. */
const MAX_OPERATIONS = 1_000;

/**
 * Keeps a new plugin from missing an operation or seeing half of one: plugins are synchronized only while no operation runs. An
 * operation never waits for a plugin that still waits for its own synchronization.
 */
export class SyncGate {
  private readonly semaphore = new Semaphore(MAX_OPERATIONS);

  /**
   * Runs an operation: the requests to plugins, and the change that plugins see in a synchronization. A wait for something slow, such as the grace
   * period of a stop, does not belong inside, and operations must not be nested.
   */
  operate<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.semaphore.run(work, signal);
  }

  synchronize<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.semaphore.runAlone(work, signal);
  }
}
