import { join } from 'node:path';
import type { FileIdentity, LogDisk } from './log-disk';

/** A place in a file that is found again after a restart, though the file may have been renamed meanwhile. */
export interface FilePosition extends FileIdentity {
  /** Spool: offset of the first record not yet taken. CRI log: its size. */
  readonly offset: number;
  /** The bytes before `offset` (tail-window.ts). */
  readonly window: string;
}

/** What is written together: up to `spool.offset` everything is in the CRI log, and that ends at `log.offset`. */
export interface SavedPosition {
  readonly spool: FilePosition | undefined;
  readonly log: FilePosition;
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
    const fields = value as { version?: unknown; spool?: unknown; log?: unknown };
    const log = readPosition(fields.log);
    return fields.version === VERSION && log !== undefined
      ? { spool: readPosition(fields.spool), log }
      : undefined;
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

function readPosition(value: unknown): FilePosition | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { ino, birth, offset, window } = value as Record<keyof FilePosition, unknown>;
  if (typeof ino !== 'string' || typeof birth !== 'string') return undefined;
  if (typeof offset !== 'number' || typeof window !== 'string') return undefined;
  return { ino, birth, offset, window };
}
