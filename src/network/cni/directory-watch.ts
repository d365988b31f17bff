import { watch, type FSWatcher } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf } from '../../lib/errors';

/** Milliseconds to wait after a change, because writers create, fill and rename files. The result is then read once. */
const SETTLE_MS = 50;
/** The interval in ms of checks while inotify cannot be used. kubelet asks for the network's condition at the same interval. */
const UNWATCHED_MS = 5_000;

/**
 * Reports changes in a directory through inotify. The directory may appear, disappear or be replaced later: while it is
 * missing, the nearest existing directory above it is watched. If the node has no inotify watches left, a timer is used
 * instead, and each tick reports a possible change.
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

  /** Resolves once the watch is established. All changes after that are reported. */
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
      // ENOENT means that the directory vanished between stat and watch.
      this.poke(errnoOf(error) === 'ENOENT' ? SETTLE_MS : UNWATCHED_MS);
      return;
    }
    // Changes between the stat and the watch cause no event, so a change is assumed.
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

/**
 * Finds the nearest directory that exists.
 * @returns its path, and a key that changes when another directory of the same name replaces it.
 */
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
