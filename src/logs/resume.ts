import { join } from 'node:path';
import { errnoOf, messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { ALL_POSITIONS, WorkMarker } from './hang-watch';
import type { TranslationBuffers } from './json-file-to-cri';
import type { FileIdentity, LogDisk } from './log-disk';

/** A position in a file that can be found again after a restart, even if the file was renamed meanwhile. */
export interface FilePosition extends FileIdentity {
  /** In a spool: offset of the first record that was not copied yet. In a CRI log: its size. */
  readonly offset: number;
  /** The bytes before `offset` (TailWindow). */
  readonly window: string;
}

/**
 * Two positions that belong together: all output before `spool.offset` is in the CRI log, and the CRI log ends at `log.offset`.
 */
export interface Place {
  readonly spool: FilePosition | undefined;
  readonly log: FilePosition;
}

/** The paths of a container's log, with which it can be resumed before the Engine has answered. */
export interface LogPaths {
  readonly spoolPath: string;
  readonly logPath: string;
  readonly logDirectory?: string | undefined;
}

export interface SavedPosition extends Place {
  /**
   * The position at which the log ended before the last reopen. If we are killed before kubelet gets our answer, kubelet
   * renames the old file back over the new file. The lines of the new file are then lost, and they are copied again from this
   * position.
   */
  readonly previous?: Place | undefined;
  readonly paths?: LogPaths | undefined;
}

const VERSION = 1;
const SUFFIX = '.json';
/** Suffix of the file that `LogDisk.replace` writes first. */
const TEMPORARY = '.tmp';

/**
 * The saved positions of all containers. Each has one small file, which is replaced atomically. A full or read-only disk stops
 * no log: each SpoolCopy then keeps its position in memory and tries again to save it.
 */
export class PositionStore {
  /** Containers whose position could not be saved. */
  private readonly unsaved = new Set<string>();
  private isUnlisted = false;

  constructor(
    private readonly directory: string,
    private readonly disk: LogDisk,
    private readonly logger: Logger,
    private readonly marker = new WorkMarker(),
  ) {}

  /** Creates the directory, and removes the unfinished files of a process that was killed during a save. */
  prepare(): void {
    const { disk, directory, marker } = this;
    const end = `${SUFFIX}${TEMPORARY}`;
    try {
      marker.during(ALL_POSITIONS, () => disk.makeDirectory(directory));
      for (const name of this.names())
        // The removal is marked as work on this container. If the removal hangs, nobody saves the container's position until it
        // has ended.
        if (name.endsWith(end))
          marker.during(name.slice(0, -end.length), () => disk.remove(join(directory, name)));
    } catch (error) {
      const fields = { directory: this.directory, error: messageOf(error) };
      this.logger.warn('Cannot create the directory of log positions', fields);
    }
  }

  /** Returns undefined when there is no saved position, or when it cannot be read. */
  load(containerId: string): SavedPosition | undefined {
    let value: unknown;
    try {
      value = JSON.parse(this.disk.readText(this.path(containerId)));
    } catch {
      return undefined;
    }
    if (typeof value !== 'object' || value === null) return undefined;
    const { version, previous, paths } = value as { version?: unknown } & Record<
      keyof SavedPosition,
      unknown
    >;
    const place = readPlace(value);
    if (version !== VERSION || place === undefined) return undefined;
    return { ...place, previous: readPlace(previous), paths: readPaths(paths) };
  }

  save(containerId: string, position: SavedPosition): void {
    this.disk.replace(this.path(containerId), `${JSON.stringify({ version: VERSION, ...position })}\n`);
  }

  /** @returns false when the position cannot be saved now, which is logged once for all containers. */
  keep(containerId: string, position: SavedPosition): boolean {
    try {
      this.save(containerId, position);
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      if (this.unsaved.size === 0) {
        const fields = { directory: this.directory, error: messageOf(error) };
        this.logger.warn('Cannot save log positions; logs continue, and dockbridge will try again', fields);
      }
      this.unsaved.add(containerId);
      return false;
    }
    this.saved(containerId);
    return true;
  }

  remove(containerId: string): void {
    this.saved(containerId);
    this.disk.remove(this.path(containerId));
  }

  /**
   * Returns an empty list when the directory cannot be read. The position of a followed container can then still be read by its
   * name.
   */
  ids(): readonly string[] {
    let names: readonly string[] = [];
    try {
      names = this.names();
      this.isUnlisted = false;
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === undefined) throw error;
      // A directory that could not be created contains no positions.
      if (errno !== 'ENOENT') this.tellOfUnlisted(messageOf(error));
    }
    return names.filter((name) => name.endsWith(SUFFIX)).map((name) => name.slice(0, -SUFFIX.length));
  }

  private names(): readonly string[] {
    return this.marker.during(ALL_POSITIONS, () => this.disk.list(this.directory));
  }

  private tellOfUnlisted(error: string): void {
    if (!this.isUnlisted)
      this.logger.warn(
        'Cannot list log positions; each log resumes only after its container has been inspected',
        {
          directory: this.directory,
          error,
        },
      );
    this.isUnlisted = true;
  }

  private saved(containerId: string): void {
    if (this.unsaved.delete(containerId) && this.unsaved.size === 0)
      this.logger.info('All log positions are saved again');
  }

  private path(containerId: string): string {
    return join(this.directory, `${containerId}${SUFFIX}`);
  }
}

function readPlace(value: unknown): Place | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const fields = value as Record<keyof Place, unknown>;
  const log = readPosition(fields.log);
  return log && { spool: readPosition(fields.spool), log };
}

function readPaths(value: unknown): LogPaths | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { spoolPath, logPath, logDirectory } = value as Record<keyof LogPaths, unknown>;
  if (typeof spoolPath !== 'string' || typeof logPath !== 'string') return undefined;
  return { spoolPath, logPath, ...(typeof logDirectory === 'string' && { logDirectory }) };
}

function readPosition(value: unknown): FilePosition | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { ino, birth, offset, window } = value as Record<keyof FilePosition, unknown>;
  if (typeof ino !== 'string' || typeof birth !== 'string') return undefined;
  if (typeof offset !== 'number' || typeof window !== 'string') return undefined;
  return { ino, birth, offset, window };
}

/**
 * The size of the window in bytes. It suffices for the time stamp at the end of a Docker record, which is different in each
 * record.
 */
const WINDOW_BYTES = 64;

/** The last bytes before a position. They show whether a file with the same inode is still the same file. */
export class TailWindow {
  private bytes: Buffer = Buffer.alloc(0);

  /** Copies the end of `source[0..length]`, the bytes that now precede the position. */
  push(source: Buffer, length: number): void {
    const added = Buffer.from(source.subarray(Math.max(0, length - WINDOW_BYTES), length));
    this.bytes =
      added.length >= WINDOW_BYTES ? added : Buffer.concat([this.bytes, added]).subarray(-WINDOW_BYTES);
  }

  /** Reads the window at the end of a file of this size. */
  readBefore(size: number, read: (into: Buffer, at: number) => number): void {
    const bytes = Buffer.alloc(Math.min(WINDOW_BYTES, size));
    this.bytes = bytes.subarray(0, bytes.length === 0 ? 0 : read(bytes, size - bytes.length));
  }

  /** Whether the bytes just before `position` still equal this window. */
  precedes(position: number, read: (into: Buffer, at: number) => number): boolean {
    return precedes(this.bytes, position, read);
  }

  clear(): void {
    this.bytes = Buffer.alloc(0);
  }

  restore(saved: string): void {
    this.bytes = Buffer.from(saved, 'base64');
  }

  /** Returns the window in the form in which the saved position contains it. */
  save(): string {
    return this.bytes.toString('base64');
  }
}

/** Whether the bytes just before `position` equal the saved window. */
export function endsWithWindow(
  saved: string,
  position: number,
  read: (into: Buffer, at: number) => number,
): boolean {
  return precedes(Buffer.from(saved, 'base64'), position, read);
}

function precedes(expected: Buffer, position: number, read: (into: Buffer, at: number) => number): boolean {
  if (expected.length > position) return false;
  if (expected.length === 0) return true;
  const found = Buffer.alloc(expected.length);
  return read(found, position - expected.length) === expected.length && found.equals(expected);
}

const CRI_LINE = /^(\S+) (stdout|stderr) [FP]/;

interface RecordEnd<File> {
  readonly file: File;
  /** Offset just after the record. */
  readonly offset: number;
}

/**
 * Finds the spool record whose line ends the CRI log, for the case that the state directory was lost. Returns undefined when
 * none of the files contains this record, because the log is empty or belongs to an earlier container. Records are recognized
 * by their times, in nanoseconds. The parts of a split line have the same time, so equal times are counted.
 */
export function findLastLine<File extends { readonly fd: number }>(
  logTail: Buffer,
  files: readonly File[],
  parts: { readonly disk: LogDisk; readonly buffers: TranslationBuffers; readonly marker: WorkMarker },
): RecordEnd<File> | undefined {
  const last = lastTime(logTail);
  if (last === undefined) return undefined;
  const needle = Buffer.from(`"time":"${asDockerWrites(last.time)}"}\n`);
  const { input } = parts.buffers;
  let missing = last.times;
  for (const file of files) {
    for (let offset = 0, more = true; more;) {
      // Reading a spool of gigabytes takes longer than one piece of work may take, so this shows that the work does not hang.
      parts.marker.goOn();
      const length = parts.disk.read(file.fd, input, input.length, offset);
      const chunk = input.subarray(0, length);
      let done = 0;
      for (let at = chunk.indexOf(needle); at >= 0; at = chunk.indexOf(needle, done)) {
        done = at + needle.length;
        if (--missing === 0) return { file, offset: offset + done };
      }
      more = length === input.length;
      offset += Math.max(done, length - needle.length + 1);
    }
  }
  return undefined;
}

function lastTime(logTail: Buffer): { time: string; times: number } | undefined {
  const lines = logTail.toString('latin1').split('\n');
  lines.pop();
  const last = CRI_LINE.exec(lines.at(-1) ?? '');
  if (last?.[1] === undefined) return undefined;
  const time = last[1];
  return { time, times: lines.filter((line) => line.startsWith(`${time} `)).length };
}

function asDockerWrites(time: string): string {
  return time.replace(/\.?0*Z$/, 'Z');
}

/** The largest number of bytes that must be read again after a kill. One save costs as much as copying some hundred lines. */
const MOST_BYTES = 4 * 1024 * 1024;
const FLOOD_MS = 250;
const TRICKLE_MS = 10_000;
const TRICKLE_BYTES = 64 * 1024;

/**
 * Decides when to save a position: often while there is much output, rarely while there is little, and never when nothing
 * changed.
 */
export class CommitClock {
  private changed = false;
  private bytes = 0;
  private savedAt = 0;

  get hasChanged(): boolean {
    return this.changed;
  }

  get isDue(): boolean {
    if (!this.changed) return false;
    const every = this.bytes > TRICKLE_BYTES ? FLOOD_MS : TRICKLE_MS;
    return this.bytes >= MOST_BYTES || performance.now() - this.savedAt >= every;
  }

  /** Milliseconds after which to ask again even if nothing happens. */
  get dueIn(): number | undefined {
    return this.changed ? TRICKLE_MS : undefined;
  }

  change(bytes = 0): void {
    this.changed = true;
    this.bytes += bytes;
  }

  saved(): void {
    this.changed = false;
    this.bytes = 0;
    this.savedAt = performance.now();
  }
}
