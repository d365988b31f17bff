import { statfs } from 'node:fs/promises';
import { LastAnswers } from '../../lib/async/last-answers';

/** statfs of a dead network disk never returns. */
const STATFS_MS = 2_000;
/** How many of libuv's four threads may look at a time: a node has its images on one or two disks. */
const THREADS = 2;

type ReadStatfs = (path: string) => Promise<{ readonly files: number; readonly ffree: number }>;

/** Inodes in use of whole file systems, by one statfs. */
export class UsedInodes {
  private readonly counts: LastAnswers<number | undefined>;

  constructor(read: ReadStatfs = statfs) {
    this.counts = new LastAnswers(
      async (path) => {
        const { files, ffree } = await read(path);
        return files === 0 ? undefined : files - ffree;
      },
      THREADS,
      STATFS_MS,
    );
  }

  /** @returns the last known while the disk hangs; undefined where a file system has no fixed number (btrfs). */
  async of(path: string): Promise<number | undefined> {
    return this.counts.get(path);
  }
}
