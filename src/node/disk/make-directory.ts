import { constants } from 'node:fs';
import { lstat, mkdir, open, type FileHandle } from 'node:fs/promises';
import { posix } from 'node:path';
import { errnoOf } from '../../lib/errors';

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;

/** Errors of a path that exists but cannot be opened. */
const UNUSABLE: ReadonlySet<string> = new Set(['ENOTCONN', 'ESTALE', 'EIO', 'EHOSTDOWN', 'EACCES', 'EPERM']);

/** Reports why a directory cannot be created. The message is a phrase that follows the directory's path. */
export class NoDirectory extends Error {}

/**
 * Creates a directory and its missing parents, with mode 0755 regardless of the umask. Existing parts of the path may be
 * symlinks to directories. Each new directory is created inside its parent, which is held open. A symlink that somebody creates
 * at the same time is therefore not followed.
 * @returns false when the path exists already.
 * @throws NoDirectory
 */
export async function makeDirectory(path: string): Promise<boolean> {
  const names = posix.normalize(path).split('/').filter(Boolean);
  const start = await deepest(names);
  if (start === undefined) return false;
  let { directory } = start;
  try {
    for (const name of start.missing) {
      const next = await makeBelow(directory, name);
      await directory.close();
      directory = next;
    }
    return true;
  } catch (error) {
    throw error instanceof NoDirectory ? error : new NoDirectory(`cannot be made: ${reasonOf(error)}`);
  } finally {
    await directory.close();
  }
}

/** Finds the last existing directory of the path, and the missing names below it; undefined when the whole path exists. */
async function deepest(
  names: readonly string[],
): Promise<{ directory: FileHandle; missing: readonly string[] } | undefined> {
  for (let depth = names.length; depth >= 0; depth--) {
    const path = `/${names.slice(0, depth).join('/')}`;
    try {
      const directory = await open(path, O_RDONLY | O_DIRECTORY);
      if (depth < names.length) return { directory, missing: names.slice(depth) };
      await directory.close();
      return undefined;
    } catch (error) {
      const errno = errnoOf(error);
      // If a file system has lost its server or denies access, the path counts as existing. Mounting it will fail later, with
      // the reason.
      if (depth === names.length && UNUSABLE.has(errno ?? '')) return undefined;
      if (errno !== 'ENOENT' && errno !== 'ENOTDIR')
        throw new NoDirectory(`cannot be made: ${reasonOf(error)}`);
      const found = await lstat(path).catch(() => undefined);
      if (found === undefined) continue;
      // Somebody else has just created the directory.
      if (found.isDirectory()) {
        depth++;
        continue;
      }
      if (errno === 'ENOENT') throw new NoDirectory(`cannot be made: the symlink ${path} leads nowhere`);
      if (depth === names.length) return undefined;
      throw new NoDirectory(`cannot be made: ${path} is not a directory`);
    }
  }
  throw new NoDirectory('cannot be made: there is no root directory');
}

/**
 * Creates a directory, unless it exists, inside a parent that is held open. This uses /proc/self/fd, because Node has no
 * mkdirat(2).
 */
export async function makeBelow(directory: FileHandle, name: string): Promise<FileHandle> {
  const path = `${pathOf(directory)}/${name}`;
  const isMade = await mkdir(path, 0o755).then(
    () => true,
    (error: unknown) => {
      if (errnoOf(error) !== 'EEXIST') throw error;
      return false;
    },
  );
  const made = await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (isMade) await made.chmod(0o755);
  return made;
}

export function pathOf({ fd }: FileHandle): string {
  return `/proc/self/fd/${fd}`;
}

const REASONS: Readonly<Record<string, string>> = {
  EROFS: 'the file system is read-only',
  ENOSPC: 'the file system is full',
  EDQUOT: 'the quota of the file system is used up',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ELOOP: 'a symlink leads in a circle',
  ENOTDIR: 'a part of the path was replaced by something that is not a directory',
};

function reasonOf(error: unknown): string {
  const errno = errnoOf(error) ?? 'unknown error';
  return REASONS[errno] ?? errno;
}
