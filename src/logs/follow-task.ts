import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { Follower } from './follower';
import type { LogStats } from './log-stats';
import type { OpenLog, OpenLogs } from './open-logs';
import type { RoundRobin, Task } from './round-robin';
import type { SpoolTarget } from './spool-chain';
import { SpoolWatch } from './spool-watch';
import type { WorkMarker } from './work-marker';

/** A spool that flows is looked at this often: a batch of lines costs one read and one write. */
const BUSY_POLL_MS = 25;
/** Events closer than this mean that it flows: dockerd writes once a line, and each event costs as much as a look. */
const BUSY_GAP_MS = 100;
/** Fruitless looks after which a spool counts as idle and is left to inotify again. */
const QUIET_LOOKS = 4;
/** The net under inotify, and the only means where a directory cannot be watched. */
const WATCHED_POLL_MS = 120_000;
const UNWATCHED_POLL_MS = 1_000;
const RETRY_FIRST_MS = 250;
const RETRY_MOST_MS = 5_000;

interface Drain {
  readonly target: SpoolTarget | undefined;
  readonly resolve: () => void;
}

/** Decides when a follower takes its steps: at once while there is data, by timer while it flows, by inotify else. */
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
    readonly follower: Follower,
    private readonly queue: RoundRobin,
    private readonly stats: LogStats,
    private readonly logger: Logger,
    private readonly marker: WorkMarker,
    private readonly open: OpenLogs,
  ) {
    this.watch = new SpoolWatch(follower.source.spoolPath, () => this.onEvent());
  }

  wake(): void {
    if (this.stopped) return;
    clearTimeout(this.timer);
    this.queue.add(this);
  }

  /** Resolves when all that the spool holds now is in the CRI log, or when that fails. */
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
    const more = this.marker.during(this.follower.source.containerId, () => this.takeTurn());
    if (!this.hasLetGo) this.open.add(this);
    return more;
  }

  letGo(): void {
    try {
      this.marker.during(this.follower.source.containerId, () => {
        this.follower.commit();
        this.follower.release();
      });
    } catch {
      // Its next step meets the same error and reports it.
    }
  }

  private takeTurn(): boolean {
    const before = this.stats.bytes;
    this.hasLetGo = false;
    try {
      const outcome = this.follower.step();
      const moved = this.stats.bytes !== before;
      if (outcome === 'idle' && this.drains.length > 0) this.follower.commit();
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
      this.logger.error('container log stands still; retrying', this.fields(error));
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

  /** At the end of the spool: true to look once more at once. */
  private rest(moved: boolean): boolean {
    if (this.watch.armed) {
      const { dueIn } = this.follower;
      // Nothing to come, nothing to save: a node's many quiet and ended containers hold no descriptors.
      if (dueIn === undefined) {
        this.follower.release();
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
    // What was written just before the watch stood makes no event.
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
    this.logger.info('container log flows again', this.fields());
  }

  private finishDrains(all: boolean): void {
    const { follower } = this;
    const [done, waiting]: [Drain[], Drain[]] = [[], []];
    for (const drain of this.drains) {
      const passed = all || (drain.target !== undefined && follower.hasPassed(drain.target));
      (passed ? done : waiting).push(drain);
    }
    this.drains = waiting;
    for (const drain of done) drain.resolve();
  }

  private targetNow(): SpoolTarget | undefined {
    try {
      return this.marker.during(this.follower.source.containerId, () => this.follower.target());
    } catch {
      // The step that follows meets the same error and reports it.
      return undefined;
    }
  }

  private fields(error?: unknown): Record<string, unknown> {
    const { containerId, logPath } = this.follower.source;
    return { container: containerId, logPath, ...(error === undefined ? {} : { error: messageOf(error) }) };
  }
}
