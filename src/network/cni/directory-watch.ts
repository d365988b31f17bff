import { watch, type FSWatcher } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf } from '../../lib/errors';

/** Writers create, fill and rename files; this is how long they get before one look at the result. */
const SETTLE_MS = 50;
/** kubelet asks for the network's condition as often as this. */
const UNWATCHED_MS = 5_000;

/**
 * Reports changes in a directory through inotify, also when the directory appears, disappears or is replaced later: while it
 * is missing, the nearest existing directory above it is watched. Only on a node that has no inotify watches left does this
 * use a timer, and then it reports a possible change at each tick.
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

  /** Resolves when all later changes will be reported. */
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
      // ENOENT: the directory vanished between stat and watch.
      this.poke(errnoOf(error) === 'ENOENT' ? SETTLE_MS : UNWATCHED_MS);
      return;
    }
    // Changes between the stat and the watch were not reported.
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

/** @returns also a key that changes when the directory is replaced by another one of the same name. */
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
