import { watch, type FSWatcher } from 'node:fs';
import { basename, dirname } from 'node:path';
import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { fileLimit } from '../node/file-limit';
import type { LogStats } from './container-logs';
import type { WorkMarker } from './hang-watch';
import type { SpoolTarget } from './spool-chain';
import type { SpoolCopy } from './spool-copy';

/** Interval of reads while output flows. The delay collects lines, so that a batch of them costs one read and one write. */
const BUSY_POLL_MS = 25;
/**
 * If inotify events are closer together than this, output counts as flowing and is read by timer instead. dockerd makes one
 * write per line, and each event costs as much as a read.
 */
const BUSY_GAP_MS = 100;
/**
 * Number of consecutive reads without new data after which a spool counts as idle. From then on, inotify reports changes again.
 */
const QUIET_LOOKS = 4;
/** Interval of reads for a directory that cannot be watched, and for changes that inotify misses. */
const WATCHED_POLL_MS = 120_000;
const UNWATCHED_POLL_MS = 1_000;
const RETRY_FIRST_MS = 250;
const RETRY_MOST_MS = 5_000;

interface Drain {
  readonly target: SpoolTarget | undefined;
  readonly resolve: () => void;
}

/** Decides when a spool is copied: at once while it has data, by timer while output flows, otherwise when inotify reports a change. */
export class FollowTask implements Task, OpenLog {
  private readonly watch: SpoolWatch;
  private timer: NodeJS.Timeout | undefined;
  private quietLooks = 0;
  private lastEventAt = 0;
  private retryMs = RETRY_FIRST_MS;
  private failing = false;
  private stopped = false;
  private hasLetGo = false;
  private drains: Drain[] = [];

  constructor(
    readonly copy: SpoolCopy,
    private readonly queue: RoundRobin,
    private readonly stats: LogStats,
    private readonly logger: Logger,
    private readonly marker: WorkMarker,
    private readonly open: OpenLogs,
  ) {
    this.watch = new SpoolWatch(copy.source.spoolPath, () => this.onEvent());
  }

  wake(): void {
    if (this.stopped) return;
    clearTimeout(this.timer);
    this.queue.add(this);
  }

  /** Resolves when everything that the spool contains now is in the CRI log, or when copying it fails. */
  drain(): Promise<void> {
    return new Promise((resolve) => {
      if (this.stopped) {
        resolve();
        return;
      }
      this.drains.push({ target: this.targetNow(), resolve });
      this.wake();
    });
  }

  turn(): boolean {
    if (this.stopped) return false;
    const more = this.marker.during(this.copy.source.containerId, () => this.takeTurn());
    if (!this.hasLetGo) this.open.add(this);
    return more;
  }

  letGo(): void {
    try {
      this.marker.during(this.copy.source.containerId, () => {
        this.copy.commit();
        this.copy.release();
      });
    } catch {
      // The task's next step meets the same error and reports it.
    }
  }

  private takeTurn(): boolean {
    const before = this.stats.bytes;
    this.hasLetGo = false;
    try {
      const outcome = this.copy.step();
      const moved = this.stats.bytes !== before;
      if (outcome === 'idle' && this.drains.length > 0) this.copy.commit();
      this.recovered();
      this.finishDrains(outcome === 'idle');
      return outcome === 'more' || this.rest(moved);
    } catch (error) {
      this.fail(error);
      return false;
    }
  }

  /** Reports an error once and tries again later. */
  fail(error: unknown): void {
    if (!this.failing) {
      this.failing = true;
      this.stats.stalls++;
      this.logger.error('Cannot write a container log; retrying', this.fields(error));
    }
    this.finishDrains(true);
    this.watch.disarm();
    this.sleep(this.retryMs);
    this.retryMs = Math.min(this.retryMs * 2, RETRY_MOST_MS);
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
    this.watch.disarm();
    this.queue.remove(this);
    this.open.delete(this);
    this.finishDrains(true);
  }

  /**
   * Called at the end of the spool.
   * @returns true if the spool must be read once more immediately.
   */
  private rest(moved: boolean): boolean {
    if (this.watch.armed) {
      const { dueIn } = this.copy;
      // Saves the position and closes the files, so that the many quiet and ended containers of a node hold no descriptors.
      if (dueIn === undefined) {
        this.copy.release();
        this.hasLetGo = true;
        this.open.delete(this);
      }
      this.sleep(dueIn ?? WATCHED_POLL_MS);
      return false;
    }
    this.quietLooks = moved ? 0 : this.quietLooks + 1;
    if (this.quietLooks < QUIET_LOOKS) {
      this.sleep(BUSY_POLL_MS);
      return false;
    }
    // Output that was written just before the watch began causes no event, so the spool is read once more.
    if (this.watch.arm()) return true;
    this.sleep(UNWATCHED_POLL_MS);
    return false;
  }

  private onEvent(): void {
    const now = performance.now();
    if (now - this.lastEventAt < BUSY_GAP_MS) {
      this.watch.disarm();
      this.quietLooks = 0;
    }
    this.lastEventAt = now;
    this.wake();
  }

  private sleep(ms: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.wake(), ms).unref();
  }

  private recovered(): void {
    if (!this.failing) return;
    this.failing = false;
    this.retryMs = RETRY_FIRST_MS;
    this.logger.info('Container log is written again', this.fields());
  }

  private finishDrains(all: boolean): void {
    const { copy } = this;
    const [done, waiting]: [Drain[], Drain[]] = [[], []];
    for (const drain of this.drains) {
      const passed = all || (drain.target !== undefined && copy.hasPassed(drain.target));
      (passed ? done : waiting).push(drain);
    }
    this.drains = waiting;
    for (const drain of done) drain.resolve();
  }

  private targetNow(): SpoolTarget | undefined {
    try {
      return this.marker.during(this.copy.source.containerId, () => this.copy.target());
    } catch {
      // The step that follows meets the same error and reports it.
      return undefined;
    }
  }

  private fields(error?: unknown): Record<string, unknown> {
    const { containerId, logPath } = this.copy.source;
    return { container: containerId, logPath, ...(error === undefined ? {} : { error: messageOf(error) }) };
  }
}

/** How long a round of turns may delay other callbacks (a reopen, a drain), not counting the turn in progress. */
const SLICE_MS = 4;

export interface Task {
  /** Does one bounded piece of work. Returns true when there is more to do. Never throws. */
  turn(): boolean;
}

/** Gives each task with work its turn, so that a flooding container cannot starve the rest. */
export class RoundRobin {
  private readonly ready = new Set<Task>();
  private scheduled = false;

  add(task: Task): void {
    this.ready.add(task);
    this.schedule();
  }

  remove(task: Task): void {
    this.ready.delete(task);
  }

  private schedule(): void {
    if (this.scheduled || this.ready.size === 0) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.run();
      this.schedule();
    });
  }

  private run(): void {
    const until = performance.now() + SLICE_MS;
    for (const task of this.ready) {
      this.ready.delete(task);
      if (task.turn()) this.ready.add(task);
      if (performance.now() >= until) return;
    }
  }
}

/** Watches the directory of a spool with inotify, so that renames and new files are noticed too. */
export class SpoolWatch {
  private watcher: FSWatcher | undefined;

  constructor(
    private readonly spoolPath: string,
    private readonly onEvent: () => void,
  ) {}

  get armed(): boolean {
    return this.watcher !== undefined;
  }

  /** Returns false when the directory cannot be watched, because it does not exist yet or inotify has no watches left. */
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

/** Share of the limit of open files that logs may use. A log whose output flows holds two files open. */
const SHARE = 1 / 8;
const MOST = 1_024;

interface OpenLog {
  /** Closes the log's files if nothing is lost by closing them. The log opens them again when it needs them. Never throws. */
  letGo(): void;
}

/** The logs that hold files open. When there are too many of them, the least recently read log closes its files. */
export class OpenLogs {
  private readonly all = new Set<OpenLog>();

  constructor(private readonly most = Math.min(MOST, Math.floor(fileLimit() * SHARE))) {}

  /** Notes that the log was just read and holds files open. */
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
