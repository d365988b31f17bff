import { watch, type FSWatcher } from 'node:fs';
import { basename, dirname } from 'node:path';

/** inotify on the directory of a spool, so that renames and new files are seen as well. */
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
        if (changed?.startsWith(name) !== false) this.onEvent();
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
