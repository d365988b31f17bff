import { statfs } from 'node:fs/promises';
import { withDeadline } from '../lib/deadline';
import { abortable } from '../lib/keyed-lock';

/** statfs of a dead network disk never returns. */
const STATFS_MS = 2_000;

type ReadStatfs = (path: string) => Promise<{ readonly files: number; readonly ffree: number }>;

/**
 * Inodes in use of whole file systems, by one statfs. One that hangs keeps its thread, of which Node has four: so there is
 * never a second one for the same path.
 */
export class UsedInodes {
  private readonly running = new Map<string, Promise<number | undefined>>();
  private readonly last = new Map<string, number | undefined>();

  constructor(private readonly read: ReadStatfs = statfs) {}

  /** @returns the last known after 2 s; undefined where a file system has no fixed number of them (btrfs). */
  async of(path: string): Promise<number | undefined> {
    const running = this.running.get(path) ?? this.start(path);
    try {
      return await withDeadline('statfs', STATFS_MS, undefined, (limit) => abortable(running, limit));
    } catch {
      return this.last.get(path);
    }
  }

  private start(path: string): Promise<number | undefined> {
    const count = this.count(path);
    this.running.set(path, count);
    return count;
  }

  private async count(path: string): Promise<number | undefined> {
    try {
      const { files, ffree } = await this.read(path);
      this.last.set(path, files === 0 ? undefined : files - ffree);
    } catch {
      this.last.delete(path);
    } finally {
      this.running.delete(path);
    }
    return this.last.get(path);
  }
}
