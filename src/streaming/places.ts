import { Refusal } from './refusal';

export interface PlaceLimits {
  readonly all: number;
  /** Sessions of one container or pod: one that is besieged leaves the others their places. */
  readonly each: number;
}

export const PLACE_LIMITS: PlaceLimits = { all: 500, each: 100 };

/** How many sessions are open, in all and to each container or pod. */
export class Places {
  private all = 0;
  private readonly counts = new Map<string, number>();

  constructor(private readonly limits: PlaceLimits) {}

  /** Runs `session` in a place of its own. @throws Refusal when there is none. */
  async take(target: string, session: () => Promise<void>): Promise<void> {
    const count = this.counts.get(target) ?? 0;
    if (this.all >= this.limits.all)
      throw new Refusal(503, `${this.all} streaming sessions are open: no more`);
    if (count >= this.limits.each)
      throw new Refusal(503, `${count} streaming sessions are open to ${target}: no more`);
    this.all++;
    this.counts.set(target, count + 1);
    try {
      await session();
    } finally {
      this.all--;
      const left = (this.counts.get(target) ?? 1) - 1;
      if (left > 0) this.counts.set(target, left);
      else this.counts.delete(target);
    }
  }
}
