import { fileLimit } from '../node/file-limit';

/** A log that flows holds two files. */
const SHARE = 1 / 8;
const MOST = 1_024;

export interface OpenLog {
  /** Closes its files where nothing is lost by that; it opens them again by itself. Never throws. */
  letGo(): void;
}

/** The logs that hold files: of too many, the one that was looked at longest ago lets go of its own. */
export class OpenLogs {
  private readonly all = new Set<OpenLog>();

  constructor(private readonly most = Math.min(MOST, Math.floor(fileLimit() * SHARE))) {}

  /** It was just looked at, and holds files. */
  add(log: OpenLog): void {
    this.all.delete(log);
    this.all.add(log);
    if (this.all.size <= this.most) return;
    const [oldest] = this.all;
    if (oldest === undefined) return;
    this.all.delete(oldest);
    oldest.letGo();
  }

  delete(log: OpenLog): void {
    this.all.delete(log);
  }
}
