import { lstatSync, opendirSync, type Dir, type Stats } from 'node:fs';
import { join } from 'node:path';

/** The unit of st_blocks, in bytes. */
const BLOCK = 512;
/** Entries between two looks at the clock. */
const BATCH = 64;

export interface Size {
  /** On disk, as `du` counts: holes are nothing, a hard-linked file counts once. */
  readonly bytes: number;
  readonly inodes: number;
}

/**
 * Walks a directory tree, itself included, in steps of about `sliceMs`; other file systems mounted in it are left out.
 * Synchronous, for a thread of its own. Files that come and go meanwhile are as they were found.
 * @returns undefined when the directory is gone.
 */
export function* walk(root: string, sliceMs: number): Generator<undefined, Size | undefined, undefined> {
  const top = tryLstat(root);
  if (top === undefined) return undefined;
  const linked = new Set<number>();
  let bytes = top.blocks * BLOCK;
  let inodes = 1;
  const pending = [root];
  let sliceEnd = performance.now() + sliceMs;
  let batch = 0;
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    const listing = tryOpen(directory);
    try {
      for (let entry = listing?.readSync(); entry; entry = listing?.readSync()) {
        const path = join(directory, entry.name);
        const found = tryLstat(path);
        if (found?.dev !== top.dev) continue;
        if (found.nlink > 1 && !found.isDirectory()) {
          if (linked.has(found.ino)) continue;
          linked.add(found.ino);
        }
        bytes += found.blocks * BLOCK;
        inodes += 1;
        if (found.isDirectory()) pending.push(path);
        if (++batch % BATCH === 0 && performance.now() >= sliceEnd) {
          yield;
          sliceEnd = performance.now() + sliceMs;
        }
      }
    } finally {
      listing?.closeSync();
    }
  }
  return { bytes, inodes };
}

function tryLstat(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch {
    return undefined;
  }
}

function tryOpen(directory: string): Dir | undefined {
  try {
    return opendirSync(directory);
  } catch {
    return undefined;
  }
}
