import { KeyedLock } from '../lib/async/keyed-lock';

/**
 * Engine names under which a handler is creating a container right now. A second request for the same name waits for the first,
 * and events and resyncs leave a reserved name to its handler.
 */
export class NameReservations {
  private readonly lock = new KeyedLock();
  private readonly held = new Set<string>();

  async hold<T>(engineName: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return this.lock.run(
      engineName,
      async () => {
        this.held.add(engineName);
        try {
          return await work();
        } finally {
          this.held.delete(engineName);
        }
      },
      signal,
    );
  }

  /** Resolves when every caller that holds the name, or already waits for it, has finished. */
  async whenFree(engineName: string): Promise<void> {
    await this.lock.run(engineName, () => Promise.resolve());
  }

  isHeld(engineName: string): boolean {
    return this.held.has(engineName);
  }
}
