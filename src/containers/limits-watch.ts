import { watch, type FSWatcher } from 'node:fs';
import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { ContainerRecord } from '../store/records';
import type { Store } from '../store/store';
import { losableValues } from '../translate/container/kernel-values';
import { losablePlaces, restoreLostValues } from './limits';

/** Runs `work` while it holds the container: what an update that is under way changes is no loss. */
export type Hold = (id: string, work: () => Promise<void>) => Promise<void>;

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
    if (now?.state === 'running' && this.follows(now) && this.runs.get(id)?.files === files) return;
    this.end(id);
    if (now?.state !== 'running' || now.pid === 0 || files === '') return;
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
    const watcher = watch(place, { persistent: false }, () => this.look(id, run));
    // Without the watcher a lost value stays lost, as it does where nothing can be watched.
    watcher.on('error', () => watcher.close());
    run.watchers.push(watcher);
  }

  private look(id: string, run: Run): void {
    if (run.waiting || this.runs.get(id) !== run) return;
    run.waiting = true;
    const { hold, logger } = this.parts;
    // The group is gone, or lacks what it should have, which was logged when the container was started.
    hold(id, () => this.restore(id, run)).catch((error: unknown) =>
      logger.debug(
        () => 'Cannot read the limits of a container',
        () => ({ container: id, error: messageOf(error) }),
      ),
    );
  }

  private async restore(id: string, run: Run): Promise<void> {
    run.waiting = false;
    const { store, logger, proc } = this.parts;
    const container = store.containers.get(id);
    if (container === undefined || this.runs.get(id) !== run || !this.follows(container)) return;
    const { complete } = await restoreLostValues(container, logger, proc);
    // A value that the kernel accepts and does not keep would be written forever.
    if (!complete) this.stopWatching(run);
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
