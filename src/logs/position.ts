import { join } from 'node:path';
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

/** The saved positions of all containers: one small file each, replaced atomically. */
export class PositionStore {
  constructor(
    private readonly directory: string,
    private readonly disk: LogDisk,
  ) {}

  prepare(): void {
    this.disk.makeDirectory(this.directory);
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

  remove(containerId: string): void {
    this.disk.remove(this.path(containerId));
  }

  ids(): readonly string[] {
    return this.disk
      .list(this.directory)
      .filter((name) => name.endsWith(SUFFIX))
      .map((name) => name.slice(0, -SUFFIX.length));
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
  const { spoolPath, logPath } = value as Record<keyof LogPaths, unknown>;
  return typeof spoolPath === 'string' && typeof logPath === 'string' ? { spoolPath, logPath } : undefined;
}

function readPosition(value: unknown): FilePosition | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { ino, birth, offset, window } = value as Record<keyof FilePosition, unknown>;
  if (typeof ino !== 'string' || typeof birth !== 'string') return undefined;
  if (typeof offset !== 'number' || typeof window !== 'string') return undefined;
  return { ino, birth, offset, window };
}
