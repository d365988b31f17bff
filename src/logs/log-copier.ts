import { internal, messageOf, notFound } from '../lib/errors';
import type { Logger } from '../lib/logger';
import {
  emptyLogStats,
  type ContainerLogs,
  type LogPlace,
  type LogSource,
  type RelinkedLog,
  type LogStats,
} from './container-logs';
import { CriLog } from './cri-log';
import { FollowTask, OpenLogs, RoundRobin } from './follow-task';
import { WorkMarker } from './hang-watch';
import { formatNote, TranslationBuffers } from './json-file-to-cri';
import { nodeLogDisk, type LogDisk } from './log-disk';
import { standingOf, relinkContainerLog } from './log-link';
import { PositionStore, type LogPaths, type SavedPosition } from './resume';
import { SpoolCopy, type SpoolCopyParts } from './spool-copy';

export interface LogCopierOptions {
  /** Directory of the saved positions. It must survive reboots, because the spools do. Created when it is missing. */
  readonly stateDir: string;
  readonly logger: Logger;
  readonly disk?: LogDisk;
  /** Size of the largest spool record and of a chunk, in bytes. */
  readonly bufferBytes?: number;
  readonly marker?: WorkMarker;
  /** How many logs may hold files open; by default an eighth of the limit of open files, but at most 1,024. */
  readonly mostOpen?: number;
}

/**
 * Follows all containers on the calling thread, with synchronous file calls. The log worker (worker-entry.ts) runs it; tests
 * use it directly.
 */
export class LogCopier implements ContainerLogs {
  private readonly tasks = new Map<string, FollowTask>();
  /** Containers whose log was handed over. All calls for these containers are ignored. */
  private readonly handedOver = new Set<string>();
  private readonly queue = new RoundRobin();
  private readonly open: OpenLogs;
  private readonly counters = emptyLogStats();
  private readonly positions: PositionStore;
  private readonly parts: SpoolCopyParts;

  constructor(options: LogCopierOptions) {
    const disk = options.disk ?? nodeLogDisk;
    const marker = options.marker ?? new WorkMarker();
    this.positions = new PositionStore(options.stateDir, disk, options.logger, marker);
    this.positions.prepare();
    this.open = new OpenLogs(options.mostOpen);
    this.parts = {
      disk,
      positions: this.positions,
      buffers: new TranslationBuffers(options.bufferBytes),
      stats: this.counters,
      logger: options.logger,
      marker,
    };
  }

  /**
   * Continues all logs at the saved positions without waiting for `follow`, because the Engine may discard output while nobody
   * copies it. Later, `follow` adopts these logs, and `retain` ends the logs of containers that are gone. A container that has
   * written nothing new costs two small reads.
   * @param setAside containers whose logs another worker hangs on.
   */
  resume(setAside: ReadonlySet<string> = new Set()): void {
    for (const containerId of this.positions.ids()) {
      if (setAside.has(containerId)) continue;
      try {
        this.during(containerId, () => {
          const saved = this.positions.load(containerId);
          if (saved?.paths !== undefined && this.hasNews(saved, saved.paths))
            this.resumeOne({ containerId, ...saved.paths });
        });
        this.holdsFiles(containerId);
      } catch (error) {
        // `follow` will meet the same error and report it. The other containers' logs are resumed now.
        const fields = { container: containerId, error: messageOf(error) };
        this.parts.logger.warn('Cannot resume a container log', fields);
      }
    }
  }

  follow(source: LogSource): Promise<void> {
    return settle(() => {
      if (this.handedOver.has(source.containerId)) return;
      const known = this.tasks.get(source.containerId);
      const task =
        known !== undefined && isSame(known.copy.source, source)
          ? known
          : this.during(source.containerId, () => this.replace(source));
      try {
        this.during(source.containerId, () => task.copy.start());
      } catch (error) {
        task.fail(error);
        throw internal(`cannot write the container's log ${source.logPath}: ${messageOf(error)}`, {
          cause: error,
        });
      }
      this.holdsFiles(source.containerId);
      if (!task.copy.isLinked) task.wake();
    });
  }

  async drain(containerId: string): Promise<void> {
    const task = this.tasks.get(containerId);
    if (task?.copy.isLinked !== true) return task?.drain();
    // The container ended before dockbridge first saw it. Copying its log would fill the disk and delay our start, and the link
    // shows all of its output.
    if (task.copy.source.hasEnded === true) return;
    try {
      this.during(containerId, () => task.copy.takeOver());
    } catch (error) {
      const fields = { container: containerId, error: messageOf(error) };
      this.parts.logger.warn("A container log stays a link to Docker's file", fields);
      return;
    }
    await task.drain();
  }

  async salvage(source: LogSource): Promise<void> {
    const spool = this.during(source.containerId, () => this.parts.disk.factsAt(source.spoolPath));
    if (spool === undefined || spool.size === 0) return;
    await this.follow({ ...source, hasEnded: true });
    await this.drain(source.containerId);
  }

  note({ containerId, logPath, logDirectory }: LogPlace, text: string): Promise<void> {
    return settle(() =>
      this.during(containerId, () => {
        const log = new CriLog(logPath, this.parts.disk, logDirectory);
        if (log.isAtPath) return;
        const line = formatNote(text, new Date());
        try {
          log.open();
          log.append(line, line.length);
        } finally {
          log.close();
        }
      }),
    );
  }

  async reopen(containerId: string): Promise<void> {
    const task = this.tasks.get(containerId);
    if (task === undefined) throw notFound(`no log is followed for container ${containerId}`);
    try {
      if (task.copy.isLinked) {
        // Nobody renamed the file, as happens with `crictl logs --reopen`.
        if (this.during(containerId, () => task.copy.hasLinkAtPath)) return;
        this.during(containerId, () => task.copy.takeOver());
        // The output up to now belongs in the renamed file.
        await task.drain();
      }
      this.during(containerId, () => task.copy.reopen());
    } catch (error) {
      if (!task.copy.isLinked) task.wake();
      throw internal(`cannot reopen the container's log: ${messageOf(error)}`, { cause: error });
    }
  }

  forget(containerId: string): Promise<void> {
    return settle(() => {
      this.during(containerId, () => {
        // The Engine's file is gone, so the link would lead nowhere.
        this.tasks.get(containerId)?.copy.removeLink();
        this.drop(containerId);
        this.positions.remove(containerId);
      });
    });
  }

  retain(containerIds: ReadonlySet<string>): Promise<void> {
    return settle(() => {
      for (const id of [...this.tasks.keys(), ...this.positions.ids()]) {
        if (containerIds.has(id)) continue;
        this.during(id, () => {
          this.drop(id);
          this.positions.remove(id);
        });
      }
    });
  }

  async handOver(source: LogSource): Promise<RelinkedLog> {
    const { containerId } = source;
    // Only an existing copy is completed. A log that is a link needs no copy, and no new log may be created here.
    const hasCopy = this.during(containerId, () => standingOf(source)) === 'file';
    if (hasCopy) {
      await this.follow(source);
      await this.drain(containerId);
    }
    return this.during(containerId, () => this.relinkNow(source, hasCopy));
  }

  close(): Promise<void> {
    return settle(() => {
      for (const [id, task] of [...this.tasks]) {
        try {
          this.during(id, () => task.copy.commit());
        } catch (error) {
          this.parts.logger.warn('Cannot save a log position', { container: id, error: messageOf(error) });
        }
        this.during(id, () => this.drop(id));
      }
    });
  }

  stats(): Promise<LogStats> {
    let [lagBytes, largestLagBytes] = [0, 0];
    for (const { copy } of this.tasks.values()) {
      const { lagBytes: lag } = copy;
      lagBytes += lag;
      largestLagBytes = Math.max(largestLagBytes, lag);
    }
    return Promise.resolve({ ...this.counters, lagBytes, largestLagBytes, followed: this.tasks.size });
  }

  /** Logs that wait for their turn count too, because hundreds of logs are opened at the same time during a start. */
  private holdsFiles(containerId: string): void {
    const task = this.tasks.get(containerId);
    if (task !== undefined) this.open.add(task);
  }

  private during<T>(containerId: string, work: () => T): T {
    return this.parts.marker.during(containerId, work);
  }

  private relinkNow(source: LogSource, hasCopy: boolean): RelinkedLog {
    const { containerId } = source;
    const copy = this.tasks.get(containerId)?.copy;
    // The copy of a quiet log holds no files open. It must be opened now, because later it would find the link instead of its
    // file.
    if (hasCopy) copy?.start();
    const relinked = this.relink(source);
    this.handedOver.add(containerId);
    try {
      // The Engine may have rotated the spool since the last copied record. The link does not lead to the rotated file, so its
      // records are copied now.
      if (relinked.changed) copy?.copyRotated();
    } catch (error) {
      throw internal(
        `${source.logPath} is now a link, but the copy beside it is incomplete: ${messageOf(error)}`,
      );
    } finally {
      this.drop(containerId);
    }
    return relinked;
  }

  private relink(source: LogSource): RelinkedLog {
    try {
      return relinkContainerLog(source, new Date());
    } catch (error) {
      throw internal(`${source.logPath} cannot be replaced by a link: ${messageOf(error)}`, { cause: error });
    }
  }

  private resumeOne(source: LogSource): void {
    const task = this.replace(source);
    try {
      if (task.copy.resume()) task.wake();
      else this.drop(source.containerId);
    } catch (error) {
      task.fail(error);
    }
  }

  private hasNews({ spool }: SavedPosition, { spoolPath }: LogPaths): boolean {
    const now = this.parts.disk.factsAt(spoolPath);
    return now !== undefined && spool !== undefined && (now.ino !== spool.ino || now.size !== spool.offset);
  }

  private replace(source: LogSource): FollowTask {
    const known = this.tasks.get(source.containerId);
    if (known !== undefined) {
      known.copy.commit();
      this.drop(source.containerId);
    }
    const copy = new SpoolCopy(source, this.parts);
    const { logger, marker } = this.parts;
    const task = new FollowTask(copy, this.queue, this.counters, logger, marker, this.open);
    this.tasks.set(source.containerId, task);
    return task;
  }

  private drop(containerId: string): void {
    const task = this.tasks.get(containerId);
    if (task === undefined) return;
    this.tasks.delete(containerId);
    task.stop();
    task.copy.close();
  }
}

function isSame(left: LogSource, right: LogSource): boolean {
  return left.spoolPath === right.spoolPath && left.logPath === right.logPath;
}

/** Runs `action` and turns an exception into a rejection. */
function settle(action: () => void): Promise<void> {
  return Promise.resolve().then(action);
}
