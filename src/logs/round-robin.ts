/** How long other callbacks (a reopen, a drain) may have to wait, but for one turn. */
const SLICE_MS = 4;

export interface Task {
  /** Does one bounded piece of work; true when there is more. Never throws. */
  turn(): boolean;
}

/** Gives every task that has work a turn after the other, so that a flooding container cannot starve the rest. */
export class RoundRobin {
  private readonly ready = new Set<Task>();
  private scheduled = false;

  add(task: Task): void {
    this.ready.add(task);
    this.schedule();
  }

  remove(task: Task): void {
    this.ready.delete(task);
  }

  private schedule(): void {
    if (this.scheduled || this.ready.size === 0) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.run();
      this.schedule();
    });
  }

  private run(): void {
    const until = performance.now() + SLICE_MS;
    for (const task of this.ready) {
      this.ready.delete(task);
      if (task.turn()) this.ready.add(task);
      if (performance.now() >= until) return;
    }
  }
}
