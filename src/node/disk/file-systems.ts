import { stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { type DiskLooks, LastAnswers } from './disk-looks';
import type { EngineFacts } from '../../store/records';

/** The root directory of a distribution's containerd. */
const SYSTEM_CONTAINERD = '/var/lib/containerd';

/**
 * Finds the directory with images and writable layers, whose file system kubelet watches. The Engine's own image store has such
 * a directory for each storage driver below the Engine's root; the directory may be a mount of its own. With the containerd
 * image store, the directory is below the root of the containerd in use, which is either the Engine's private containerd or the
 * system's. The directory is looked up once per connection, for an Engine on this machine, because ImageFsInfo and the stats of
 * each container must name the same directory and must not wait for a disk.
 * @returns the Engine's root when no such directory is found in time.
 */
export async function findImageDirectory(
  {
    rootDir,
    storageDriver,
    containerdStore,
  }: Pick<EngineFacts, 'rootDir' | 'storageDriver' | 'containerdStore'>,
  looks: DiskLooks,
  systemContainerd = SYSTEM_CONTAINERD,
): Promise<string> {
  const snapshotter = `io.containerd.snapshotter.v1.${storageDriver}`;
  const candidates = containerdStore
    ? [join(rootDir, 'containerd/daemon', snapshotter), join(systemContainerd, snapshotter)]
    : [join(rootDir, storageDriver)];
  for (const path of candidates) if (await isDirectory(path, looks)) return path;
  return rootDir;
}

async function isDirectory(path: string, looks: DiskLooks): Promise<boolean> {
  try {
    return (await looks.run('stat', path, () => stat(path))).isDirectory();
  } catch {
    return false;
  }
}

/** Time limit of a statfs call in ms. The call never returns for a dead network disk. */
const STATFS_MS = 2_000;
/** How many of libuv's four threads these calls may occupy. Two suffice, because a node has its images on one or two disks. */
const THREADS = 2;

type ReadStatfs = (path: string) => Promise<{ readonly files: number; readonly ffree: number }>;

/** Counts the inodes in use on whole file systems, with one statfs call each. */
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

  /**
   * @returns the number of inodes in use, or the last known number while the disk hangs; undefined for a file system without a
   * fixed number of inodes (btrfs).
   */
  async of(path: string): Promise<number | undefined> {
    return this.counts.get(path);
  }
}
