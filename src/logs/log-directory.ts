import * as fs from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { errnoOf } from '../lib/errors';
import { makeBelow, pathOf } from '../node/disk/make-directory';

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = fs.constants;

/** The directory of a container's log, and the part of its path that can be trusted. */
export interface LogDirectory {
  readonly path: string;
  /**
   * A directory above `path`. Symlinks are allowed in its own path, but not below it, because pods can change what is below it.
   */
  readonly trusted: string;
}

/**
 * Returns the directory of a log. kubelet's `log_directory` is one pod's directory in /var/log/pods. A pod that mounts
 * /var/log/pods can replace that directory and everything in it, for instance by a symlink. The path above it is under the
 * administrator's control.
 * @param logDirectory the pod's `log_directory`. If it is not known (''), kubelet's layout `<pod>/<container>/<attempt>.log` is
 * assumed.
 */
export function logDirectoryOf(logPath: string, logDirectory = ''): LogDirectory {
  const path = dirname(logPath);
  const isAbove = logDirectory !== '' && `${path}/`.startsWith(`${logDirectory}/`);
  return { path, trusted: dirname(isAbove ? logDirectory : dirname(path)) };
}

/**
 * Runs `work` with a path that always leads to this very directory, even if directories are renamed meanwhile. The path goes
 * through /proc/self/fd, because Node has no openat(2).
 * @param mayCreate creates missing directories (0755).
 * @throws ENOENT when the directory is missing; ENOTDIR or ELOOP when a part of the path below `trusted` is a symlink.
 */
export function inDirectory<T>(
  { path, trusted }: LogDirectory,
  mayCreate: boolean,
  work: (held: string) => T,
): T {
  if (mayCreate) fs.mkdirSync(trusted, { recursive: true, mode: 0o755 });
  let fd = fs.openSync(trusted, O_RDONLY | O_DIRECTORY);
  let reached = trusted;
  try {
    for (const name of relative(trusted, path).split('/')) {
      if (name === '') continue;
      reached = join(reached, name);
      const next = openBelow(fd, name, mayCreate, reached);
      fs.closeSync(fd);
      fd = next;
    }
    return work(`/proc/self/fd/${fd}`);
  } finally {
    fs.closeSync(fd);
  }
}

function openBelow(fd: number, name: string, mayCreate: boolean, shown: string): number {
  const path = `/proc/self/fd/${fd}/${name}`;
  const flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
  try {
    return fs.openSync(path, flags);
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'ENOENT' && mayCreate) {
      makeOnce(path);
      return fs.openSync(path, flags);
    }
    throw Object.assign(new Error(`${code ?? 'error'}: ${shown} ${whyNot(code)}`), { code });
  }
}

function whyNot(code: string | undefined): string {
  if (code === 'ENOTDIR' || code === 'ELOOP')
    return 'is not a directory (a symlink is not followed here, because a pod may have made it)';
  return 'cannot be opened';
}

function makeOnce(path: string): void {
  try {
    fs.mkdirSync(path, 0o755);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
}

/**
 * Runs `work` with a path that always leads to this very directory, which is created (0755) when it is missing. Below
 * `trusted`, no symlink is followed. This is the asynchronous form of `inDirectory` (log-directory.ts), for code outside the
 * log worker.
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
