import { watch, type FSWatcher } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf } from '../../lib/errors';

/** Writers create, fill and rename: look once, when they have had this long. */
const SETTLE_MS = 50;
/** As often as kubelet asks for the network's condition. */
const UNWATCHED_MS = 5_000;

/**
 * Tells of changes in a directory through inotify, also when it appears, disappears or is replaced later: then the
 * nearest directory above that exists is watched. Nothing runs while nothing happens, but on a node that is out of
 * watches: there a change is supposed by the clock.
 */
export class DirectoryWatch {
  private watcher: FSWatcher | undefined;
  private watched = '';
  private timer: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(
    private readonly directory: string,
    private readonly onChange: () => void,
  ) {}

  /** Resolves when changes from here on will be told. */
  async start(): Promise<void> {
    await this.arm();
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    this.watcher?.close();
  }

  private async arm(): Promise<void> {
    const place = await nearestDirectory(this.directory);
    if (this.closed || place.key === this.watched) return;
    this.watcher?.close();
    this.watcher = undefined;
    this.watched = '';
    try {
      this.watcher = watch(place.path, { persistent: false }, () => this.poke());
      this.watcher.on('error', () => this.poke());
      this.watched = place.key;
    } catch (error) {
      // ENOENT: gone between stat and watch.
      this.poke(errnoOf(error) === 'ENOENT' ? SETTLE_MS : UNWATCHED_MS);
      return;
    }
    // What happened between the stat and the watch was not told.
    if ((await nearestDirectory(this.directory)).key !== place.key) this.poke();
  }

  private poke(afterMs = SETTLE_MS): void {
    if (this.closed || this.timer !== undefined) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      void this.arm().then(() => {
        if (!this.closed) this.onChange();
      });
    }, afterMs);
    this.timer.unref();
  }
}

/** With a key that changes when the directory is replaced by another of the same name. */
async function nearestDirectory(directory: string): Promise<{ path: string; key: string }> {
  for (let path = directory; ; path = dirname(path)) {
    try {
      const found = await stat(path);
      if (found.isDirectory() || path === '/') return { path, key: `${path} ${found.dev} ${found.ino}` };
    } catch {
      if (path === dirname(path)) return { path: '/', key: '/' };
    }
  }
}
