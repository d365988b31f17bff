import * as fs from 'node:fs';
import { errnoOf } from '../lib/errors';
import type { WorkMarker } from './hang-watch';
import { inDirectory, type LogDirectory } from './log-directory';

/** What identifies a file through renames. `birth` (ns, '0' where the file system has none) tells reused inodes. */
export interface FileIdentity {
  readonly ino: string;
  readonly birth: string;
}

export interface FileFacts extends FileIdentity {
  readonly size: number;
  /** 0 if the file was removed while we hold it open. */
  readonly links: number;
}

/**
 * The file calls of this folder, synchronous on purpose: they run in a worker of their own, where a step (read,
 * translate, write, advance) must not be interleaved with a reopen or a commit, and where libuv's pool of four
 * threads, shared with the whole daemon, would be the bottleneck. Tests wrap it to die at every single call.
 */
export interface LogDisk {
  openRead(path: string): number;
  /** Runs `work` with a path for the directory through which nobody can lead us elsewhere (log-directory.ts). */
  inDirectory<T>(directory: LogDirectory, mayCreate: boolean, work: (held: string) => T): T;
  /** Opens a regular file for appending, makes it (0640) when missing; a symlink, FIFO or device in its place is removed. */
  openAppend(path: string): number;
  /** The same for a file that exists; undefined when there is nothing, or something other than a regular file. */
  openExisting(path: string): number | undefined;
  read(fd: number, into: Uint8Array, length: number, position: number): number;
  /** One write(2): may write less than asked. */
  write(fd: number, from: Uint8Array, offset: number, length: number): number;
  truncate(fd: number, size: number): void;
  close(fd: number): void;
  facts(fd: number): FileFacts;
  /** Undefined when there is no such file. */
  inodeAt(path: string): string | undefined;
  /** Undefined when there is no such file. */
  factsAt(path: string): FileFacts | undefined;
  /** Where a symlink leads; undefined when there is none at this path. */
  linkAt(path: string): string | undefined;
  list(directory: string): readonly string[];
  readText(path: string): string;
  /**
   * Replaces the file in one step: a process that is killed meanwhile leaves the old or the new text, never a mix. After an
   * error nothing is left beside it.
   */
  replace(path: string, text: string): void;
  rename(from: string, to: string): void;
  /** Succeeds when there is nothing. */
  remove(path: string): void;
  makeDirectory(path: string): void;
}

function toFacts(stat: fs.BigIntStats): FileFacts {
  return {
    ino: String(stat.ino),
    birth: String(stat.birthtimeNs),
    size: Number(stat.size),
    links: Number(stat.nlink),
  };
}

export const nodeLogDisk: LogDisk = {
  openRead: (path) => fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW),
  inDirectory,
  openAppend: openForAppend,
  openExisting: openRegular,
  read: (fd, into, length, position) => fs.readSync(fd, into, 0, length, position),
  write: (fd, from, offset, length) => fs.writeSync(fd, from, offset, length),
  truncate: (fd, size) => fs.ftruncateSync(fd, size),
  close: (fd) => fs.closeSync(fd),
  facts: (fd) => toFacts(fs.fstatSync(fd, { bigint: true })),
  inodeAt: (path) => {
    const stat = fs.lstatSync(path, { bigint: true, throwIfNoEntry: false });
    return stat === undefined ? undefined : String(stat.ino);
  },
  factsAt: (path) => {
    const stat = fs.lstatSync(path, { bigint: true, throwIfNoEntry: false });
    return stat && toFacts(stat);
  },
  linkAt: (path) => {
    try {
      return fs.readlinkSync(path);
    } catch (error) {
      // EINVAL: something other than a link.
      if (['ENOENT', 'EINVAL', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return undefined;
      throw error;
    }
  },
  list: (directory) => fs.readdirSync(directory),
  readText: (path) => fs.readFileSync(path, 'utf8'),
  replace: (path, text) => {
    try {
      fs.writeFileSync(`${path}.tmp`, text, { mode: 0o600 });
      fs.renameSync(`${path}.tmp`, path);
    } catch (error) {
      // On a full disk the incomplete file would occupy what little space there is.
      fs.rmSync(`${path}.tmp`, { force: true });
      throw error;
    }
  },
  rename: (from, to) => fs.renameSync(from, to),
  remove: (path) => fs.rmSync(path, { force: true }),
  makeDirectory: (path) => void fs.mkdirSync(path, { recursive: true, mode: 0o700 }),
};

/** A disk that a worker cannot change any more once another has taken over. */
export function dismissibleDisk(disk: LogDisk, marker: WorkMarker): LogDisk {
  const checked = (): LogDisk => {
    marker.throwIfDismissed();
    return disk;
  };
  return {
    ...disk,
    openAppend: (path) => checked().openAppend(path),
    write: (fd, from, offset, length) => checked().write(fd, from, offset, length),
    truncate: (fd, size) => checked().truncate(fd, size),
    rename: (from, to) => checked().rename(from, to),
    remove: (path) => checked().remove(path),
    replace: (path, text) => checked().replace(path, text),
  };
}

const { O_RDWR, O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
/** Linux: names a file without opening it, so that a device or a FIFO does not notice. Node does not export it. */
const O_PATH = 0o10000000;
const MAX_TRIES = 5;

/**
 * Opens the regular file at `path` for reading and appending. Checks its type before opening it, because opening a FIFO may
 * block, and opening a device may do anything. Nobody can replace the file between the two steps.
 * @returns undefined when there is nothing, or something other than a regular file.
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
