import { constants } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { relative } from 'node:path';
import { makeBelow, pathOf } from '../node/disk/make-directory';
import type { LogDirectory } from './log-directory';

const { O_RDONLY, O_DIRECTORY } = constants;

/**
 * `inDirectory` (log-directory.ts) for code outside the log worker: runs `work` with a path that means this very directory,
 * which is made when missing (0755). Below `trusted` no symlink is followed.
 */
export async function inHeldDirectory<T>(
  { path, trusted }: LogDirectory,
  work: (held: string) => Promise<T>,
): Promise<T> {
  await mkdir(trusted, { recursive: true, mode: 0o755 });
  let directory = await open(trusted, O_RDONLY | O_DIRECTORY);
  try {
    for (const name of relative(trusted, path).split('/').filter(Boolean)) {
      const next = await makeBelow(directory, name);
      await directory.close();
      directory = next;
    }
    return await work(pathOf(directory));
  } finally {
    await directory.close();
  }
}
