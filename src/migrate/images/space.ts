import { stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { failedPrecondition, notFound } from '../../lib/errors';
import { bytesText } from './progress';

/** What a command needs on one file system. */
export interface Need {
  /** A directory on the file system. */
  readonly path: string;
  readonly bytes: number;
  readonly what: string;
}

/**
 * Compares needs with the free space. Needs on the same file system are added.
 * @returns the paths that this process cannot see, for instance because it runs in a container.
 * @throws FAILED_PRECONDITION when there is not enough space.
 */
export async function checkSpace(needs: readonly Need[], look = freeSpace): Promise<string[]> {
  const disks = new Map<string, { free: number; needed: number; whats: string[]; path: string }>();
  const unseen: string[] = [];
  for (const { path, bytes, what } of needs) {
    if (bytes === 0) continue;
    const found = await look(path);
    if (found === undefined) {
      unseen.push(path);
      continue;
    }
    const disk = disks.get(found.disk) ?? { free: found.free, needed: 0, whats: [], path };
    disks.set(found.disk, disk);
    disk.needed += bytes;
    disk.whats.push(`${bytesText(bytes)} for ${what}`);
  }
  for (const { free, needed, whats, path } of disks.values())
    if (free < needed)
      throw failedPrecondition(
        `the file system of ${path} has ${bytesText(free)} free, and ${bytesText(needed)} are needed (${whats.join(', ')}): ` +
          'free space there, or carry fewer images (--only-local)',
      );
  return unseen;
}

/** Returns the free bytes of the file system of `path`, and the file system's id; undefined when this process cannot see it. */
export async function freeSpace(path: string): Promise<{ disk: string; free: number } | undefined> {
  try {
    // containerd creates the directory of an empty store only when it writes there.
    const there = await nearestDirectory(path);
    const { bavail, bsize } = await statfs(there);
    return { disk: String((await stat(there)).dev), free: bavail * bsize };
  } catch {
    return undefined;
  }
}

async function nearestDirectory(path: string): Promise<string> {
  const exists = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  // The root directory always exists, but it says nothing about a path if no other part of the path exists.
  if (exists && path !== '/') return path;
  if (path === '/' || path === '.') throw notFound('no part of the path exists');
  return nearestDirectory(dirname(path));
}
