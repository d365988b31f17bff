import { abortable } from './abortable';

/** Runs at most `limit` pieces of work at a time, first come first served. */
export class Semaphore {
  private free: number;
  private readonly waiting: (() => void)[] = [];
  private readonly waitingForAll: (() => void)[] = [];

  constructor(private readonly limit: number) {
    this.free = limit;
  }

  /** @param signal gives up the wait (not the work) with the signal's reason. */
  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.free > 0) this.free--;
    else await this.wait(signal);
    try {
      return await work();
    } finally {
      this.leave();
    }
  }

  /** Runs `work` at a moment when nothing else runs, and keeps everything else waiting meanwhile. Callers of run() go first. */
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
      // The turn came in the same tick, so pass it on.
      else this.leave();
      throw error;
    }
  }
}
