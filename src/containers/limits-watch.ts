import { watch, type FSWatcher } from 'node:fs';
import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { ContainerRecord } from '../store/records';
import type { Store } from '../store/store';
import { hasProcess } from '../store/states';
import { losableValues, SWAP_KEY } from '../translate/container/kernel-values';
import { losablePlaces, readLostValues, restoreLostValues } from './limits';

/**
 * Runs `work` while it holds the container, so that an update that is under way is not taken for a loss. `refresh` inspects the
 * container and brings its record up to date.
 */
export type Hold = (id: string, work: (refresh: () => Promise<void>) => Promise<void>) => Promise<void>;

export interface LimitsWatchParts {
  readonly store: Pick<Store, 'containers'>;
  readonly hold: Hold;
  readonly logger: Logger;
  readonly proc?: string | undefined;
}

/** One run of a container. */
interface Run {
  readonly pid: number;
  /** The files that are watched; an update may bring others. */
  readonly files: string;
  watchers: FSWatcher[];
  waiting: boolean;
}

/**
 * Writes what a running container may lose (losableValues) again when somebody takes it away: systemd, where it is the Engine's
 * cgroup driver, resets what it has no property for whenever it reads its units again. The kernel reports a write to such a
 * file like a write to any file, so nothing is polled.
 */
export class LimitsWatch {
  private readonly runs = new Map<string, Run>();
  private readonly unsubscribe: () => void;

  constructor(private readonly parts: LimitsWatchParts) {
    this.unsubscribe = parts.store.containers.subscribe((now, before) => {
      const id = (now ?? before)?.id;
      if (id !== undefined) this.changed(id, now);
    });
  }

  close(): void {
    this.unsubscribe();
    for (const id of [...this.runs.keys()]) this.end(id);
  }

  follows({ id, pid }: ContainerRecord): boolean {
    return pid !== 0 && this.runs.get(id)?.pid === pid;
  }

  private changed(id: string, now: ContainerRecord | undefined): void {
    const files = now === undefined ? '' : Object.keys(losableValues(now.resources).unified).sort().join();
    // A paused container can lose its limits, too.
    const isAlive = now !== undefined && hasProcess(now);
    if (isAlive && this.follows(now) && this.runs.get(id)?.files === files) return;
    this.end(id);
    if (!isAlive || files === '') return;
    const run: Run = { pid: now.pid, files, watchers: [], waiting: false };
    this.runs.set(id, run);
    void this.begin(now, run);
  }

  private async begin(container: ContainerRecord, run: Run): Promise<void> {
    const { logger, proc } = this.parts;
    try {
      const places = await losablePlaces(container, proc);
      if (places.length === 0 || this.runs.get(container.id) !== run) return;
      for (const place of places) this.watchFile(place, container.id, run);
    } catch (error) {
      // A group that is gone has no limits to lose; one that is somewhere else was logged already.
      logger.debug(
        () => 'Cannot watch the limits of a container',
        () => ({ container: container.id, error: messageOf(error) }),
      );
    }
    // Changes before the watch began were not reported.
    this.look(container.id, run);
  }

  private watchFile(place: string, id: string, run: Run): void {
    let watcher: FSWatcher;
    try {
      watcher = watch(place, { persistent: false }, () => this.look(id, run));
    } catch (error) {
      // This kernel lacks the file, or no more can be watched; the other files are watched all the same.
      this.parts.logger.debug(
        () => 'Cannot watch a limit of a container',
        () => ({ container: id, path: place, error: messageOf(error) }),
      );
      return;
    }
    // Without the watcher a lost value stays lost, as it does where nothing can be watched.
    watcher.on('error', () => watcher.close());
    run.watchers.push(watcher);
  }

  private look(id: string, run: Run): void {
    if (run.waiting || this.runs.get(id) !== run) return;
    run.waiting = true;
    const { hold, logger } = this.parts;
    // The group is gone, or lacks what it should have, which was logged when the container was started.
    hold(id, (refresh) => this.restore(id, run, refresh)).catch((error: unknown) =>
      logger.debug(
        () => 'Cannot read the limits of a container',
        () => ({ container: id, error: messageOf(error) }),
      ),
    );
  }

  private async restore(id: string, run: Run, refresh: () => Promise<void>): Promise<void> {
    run.waiting = false;
    const { logger, proc } = this.parts;
    const container = this.followed(id, run);
    if (container === undefined) return;
    const lost = await readLostValues(container, proc);
    // The Engine can set swap, too: only an inspect tells whether somebody has just allowed it.
    if (lost.unified[SWAP_KEY] !== undefined) await refresh();
    const current = this.followed(id, run);
    if (current === undefined) return;
    const { complete } = await restoreLostValues(current, logger, proc);
    // A value that the kernel accepts and does not keep would be written forever.
    if (!complete) this.stopWatching(run);
  }

  private followed(id: string, run: Run): ContainerRecord | undefined {
    const container = this.parts.store.containers.get(id);
    return container !== undefined && this.runs.get(id) === run && this.follows(container)
      ? container
      : undefined;
  }

  private end(id: string): void {
    const run = this.runs.get(id);
    if (run === undefined) return;
    this.runs.delete(id);
    this.stopWatching(run);
  }

  private stopWatching(run: Run): void {
    for (const watcher of run.watchers.splice(0)) watcher.close();
  }
}
