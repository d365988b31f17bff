import * as fs from 'node:fs';
import { errnoOf } from '../lib/errors';

const { O_RDWR, O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
/** Linux: names a file without opening it, so that a device or a FIFO does not notice. Node does not export it. */
const O_PATH = 0o10000000;
const MAX_TRIES = 5;

/**
 * Opens the regular file at `path` for reading and appending. Its type is looked at before it is opened, in a way that
 * nobody can exchange it in between: opening a FIFO may block, and opening a device may do anything.
 * @returns undefined when there is nothing, or something else than a regular file.
 */
export function openRegular(path: string): number | undefined {
  let named: number;
  try {
    named = fs.openSync(path, O_PATH | O_NOFOLLOW);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    if (!fs.fstatSync(named).isFile()) return undefined;
    return fs.openSync(`/proc/self/fd/${named}`, O_RDWR | O_APPEND | O_NONBLOCK);
  } finally {
    fs.closeSync(named);
  }
}

/**
 * The same, but makes the file (0640) when it is missing. What stands in its place without being a regular file is
 * removed: cri-dockerd's symlink to the spool, which must not be written through, or what a pod has put there.
 */
export function openForAppend(path: string): number {
  for (let tries = 1; ; tries++) {
    const existing = openRegular(path);
    if (existing !== undefined) return existing;
    try {
      return fs.openSync(path, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW, 0o640);
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST' || tries >= MAX_TRIES) throw error;
      removeIrregular(path);
    }
  }
}

function removeIrregular(path: string): void {
  const stat = fs.lstatSync(path, { throwIfNoEntry: false });
  // unlink(2) itself refuses a directory.
  if (stat !== undefined && !stat.isFile()) fs.unlinkSync(path);
}
