import type { Checkpoints } from './sandbox-checkpoints';

/** Leaves the checkpoints to whoever keeps them: for a daemon that only observes. */
export class UntouchedCheckpoints implements Checkpoints {
  write(): Promise<void> {
    return Promise.resolve();
  }

  complete(): Promise<void> {
    return Promise.resolve();
  }

  ensure(): Promise<boolean> {
    return Promise.resolve(false);
  }

  remove(): Promise<void> {
    return Promise.resolve();
  }

  sandboxes(): Promise<string[]> {
    return Promise.resolve([]);
  }

  removeOrphan(): Promise<void> {
    return Promise.resolve();
  }
}
