/** How much may have to be read again after a kill; a save costs as much as some hundred lines. */
const MOST_BYTES = 4 * 1024 * 1024;
const FLOOD_MS = 250;
const TRICKLE_MS = 10_000;
const TRICKLE_BYTES = 64 * 1024;

/** When a position is worth saving: often while output floods, rarely while it trickles, never when nothing changed. */
export class CommitClock {
  private changed = false;
  private bytes = 0;
  private savedAt = 0;

  get hasChanged(): boolean {
    return this.changed;
  }

  get isDue(): boolean {
    if (!this.changed) return false;
    const every = this.bytes > TRICKLE_BYTES ? FLOOD_MS : TRICKLE_MS;
    return this.bytes >= MOST_BYTES || performance.now() - this.savedAt >= every;
  }

  /** In how many milliseconds to ask again though nothing happens. */
  get dueIn(): number | undefined {
    return this.changed ? TRICKLE_MS : undefined;
  }

  change(bytes = 0): void {
    this.changed = true;
    this.bytes += bytes;
  }

  saved(): void {
    this.changed = false;
    this.bytes = 0;
    this.savedAt = performance.now();
  }
}
