import { watch, type FSWatcher } from 'node:fs';
import { basename, dirname } from 'node:path';

/**
 * One inotify shot: tells once that something happened to a spool, then is gone. A watch that stayed would cost a
 * callback for every line that dockerd writes; a busy spool is looked at by timer instead (follow-task.ts).
 */
export class SpoolWatch {
  private watcher: FSWatcher | undefined;

  constructor(
    private readonly spoolPath: string,
    private readonly onEvent: () => void,
  ) {}

  get armed(): boolean {
    return this.watcher !== undefined;
  }

  /** False when the directory cannot be watched (not there yet, out of watches). */
  arm(): boolean {
    if (this.watcher !== undefined) return true;
    const name = basename(this.spoolPath);
    try {
      this.watcher = watch(dirname(this.spoolPath), { persistent: false }, (_event, changed) => {
        if (changed?.startsWith(name) === false) return;
        this.disarm();
        this.onEvent();
      });
    } catch {
      return false;
    }
    this.watcher.on('error', () => {
      this.disarm();
      this.onEvent();
    });
    return true;
  }

  disarm(): void {
    const watcher = this.watcher;
    this.watcher = undefined;
    watcher?.close();
  }
}
