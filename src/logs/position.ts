import { join } from 'node:path';
import { errnoOf, messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { FileIdentity, LogDisk } from './log-disk';

/** A place in a file that is found again after a restart, though the file may have been renamed meanwhile. */
export interface FilePosition extends FileIdentity {
  /** Spool: offset of the first record not yet taken. CRI log: its size. */
  readonly offset: number;
  /** The bytes before `offset` (tail-window.ts). */
  readonly window: string;
}

/** Two ends that belong together: up to `spool.offset` everything is in the CRI log, and that ends at `log.offset`. */
export interface Place {
  readonly spool: FilePosition | undefined;
  readonly log: FilePosition;
}

/** The paths of a container's log, so that it can be resumed before the Engine was asked. */
export interface LogPaths {
  readonly spoolPath: string;
  readonly logPath: string;
  readonly logDirectory?: string | undefined;
}

export interface SavedPosition extends Place {
  /**
   * Where the log ended before the last reopen. Should kubelet not get our answer (we were killed), it renames the old
   * file back over the new one, and with that what the new one had got: it is then copied again from here.
   */
  readonly previous?: Place | undefined;
  readonly paths?: LogPaths | undefined;
}

const VERSION = 1;
const SUFFIX = '.json';
/** What `LogDisk.replace` writes first. */
const TEMPORARY = '.tmp';

/**
 * The saved positions of all containers: one small file each, replaced atomically. A disk that is full or read-only
 * stops no log: positions are then held by the followers, which try again to save them.
 */
export class PositionStore {
  /** Containers whose position could not be saved. */
  private readonly unsaved = new Set<string>();
  private isUnlisted = false;

  constructor(
    private readonly directory: string,
    private readonly disk: LogDisk,
    private readonly logger: Logger,
  ) {}

  /** Makes the directory, and removes what a kill in the middle of a save has left. */
  prepare(): void {
    try {
      this.disk.makeDirectory(this.directory);
      for (const name of this.disk.list(this.directory))
        if (name.endsWith(`${SUFFIX}${TEMPORARY}`)) this.disk.remove(join(this.directory, name));
    } catch (error) {
      const fields = { directory: this.directory, error: messageOf(error) };
      this.logger.warn('The directory of log positions cannot be prepared', fields);
    }
  }

  /** Undefined when there is none; one that cannot be read counts as none. */
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

  /** @returns false when it cannot be saved now, which is logged once for all containers. */
  keep(containerId: string, position: SavedPosition): boolean {
    try {
      this.save(containerId, position);
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      if (this.unsaved.size === 0) {
        const fields = { directory: this.directory, error: messageOf(error) };
        this.logger.warn('Log positions cannot be saved; logs go on, and saving is tried again', fields);
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

  /** None when the disk does not tell: what is followed all the same has its position looked up by name. */
  ids(): readonly string[] {
    let names: readonly string[] = [];
    try {
      names = this.disk.list(this.directory);
      this.isUnlisted = false;
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === undefined) throw error;
      // A directory that could not even be made holds nothing.
      if (errno !== 'ENOENT') this.tellOfUnlisted(messageOf(error));
    }
    return names.filter((name) => name.endsWith(SUFFIX)).map((name) => name.slice(0, -SUFFIX.length));
  }

  private tellOfUnlisted(error: string): void {
    if (!this.isUnlisted)
      this.logger.warn('Log positions cannot be listed: no log goes on before its container is inspected', {
        directory: this.directory,
        error,
      });
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
