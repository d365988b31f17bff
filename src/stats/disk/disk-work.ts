import { countOpenFiles, type OpenFiles } from './open-files';
import { Pacer } from './pacer';
import { walk, type Size } from './walk';

/** Long enough to get on, short enough for whoever shares the processor. */
const SLICE_MS = 10;

export interface Measured extends Size {
  /** What the walk itself took, rests left out. */
  readonly busyMs: number;
}

/** Work on files that is too slow for the event loop. */
export interface DiskWork {
  /** Undefined when there is no such directory. */
  measure(directory: string): Promise<Measured | undefined>;
  openFiles(pids: readonly number[]): Promise<OpenFiles>;
  close(): Promise<void>;
}

/** The work itself, on the calling thread. */
export class InThreadDiskWork implements DiskWork {
  private readonly pacer = new Pacer((ms) => this.rest(ms));
  private readonly resting = new Set<() => void>();
  private closed = false;

  async measure(directory: string): Promise<Measured | undefined> {
    const steps = walk(directory, SLICE_MS);
    let busyMs = 0;
    while (!this.closed) {
      const step = await this.pacer.run(() => {
        const start = performance.now();
        const next = steps.next();
        busyMs += performance.now() - start;
        return next;
      });
      if (step.done === true) return step.value && { ...step.value, busyMs };
    }
    return undefined;
  }

  /** Somebody waits for it: not paced. */
  openFiles(pids: readonly number[]): Promise<OpenFiles> {
    return Promise.resolve(countOpenFiles(pids));
  }

  close(): Promise<void> {
    this.closed = true;
    for (const wake of this.resting) wake();
    return Promise.resolve();
  }

  private async rest(ms: number): Promise<void> {
    if (this.closed) return;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.resting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.resting.add(wake);
    });
  }
}
