import * as fs from 'node:fs';
import { errnoOf } from '../lib/errors';
import type { WorkMarker } from './hang-watch';
import { inDirectory, type LogDirectory } from './log-directory';

/**
 * Identifies a file even after it is renamed. `birth` (ns, '0' if the file system records no birth times) distinguishes it from
 * a later file with the same inode.
 */
export interface FileIdentity {
  readonly ino: string;
  readonly birth: string;
}

export interface FileFacts extends FileIdentity {
  readonly size: number;
  /** Number of links. It is 0 if the file was removed while we hold it open. */
  readonly links: number;
}

/**
 * The file calls that this folder uses. They are synchronous on purpose. They run in a worker thread of their own, where a step
 * (read, translate, write, advance) must not be interleaved with a reopen or a commit. Asynchronous calls would also wait for
 * libuv's four threads, which the whole daemon shares. Tests wrap this interface to simulate a kill at every single call.
 */
export interface LogDisk {
  openRead(path: string): number;
  /** Runs `work` with a path that always leads to this very directory (log-directory.ts). */
  inDirectory<T>(directory: LogDirectory, mayCreate: boolean, work: (held: string) => T): T;
  /**
   * Opens a regular file for appending, and creates it (0640) when it is missing. Removes a symlink, FIFO or device at the path
   * first.
   */
  openAppend(path: string): number;
  /** Opens an existing regular file for appending. Returns undefined when there is no regular file at the path. */
  openExisting(path: string): number | undefined;
  read(fd: number, into: Uint8Array, length: number, position: number): number;
  /** Calls write(2) once. This may write fewer bytes than requested; returns the number. */
  write(fd: number, from: Uint8Array, offset: number, length: number): number;
  truncate(fd: number, size: number): void;
  close(fd: number): void;
  facts(fd: number): FileFacts;
  /** Returns undefined when there is no such file. */
  inodeAt(path: string): string | undefined;
  /** Returns undefined when there is no such file. */
  factsAt(path: string): FileFacts | undefined;
  /** Returns the target of a symlink; undefined when there is no symlink at this path. */
  linkAt(path: string): string | undefined;
  list(directory: string): readonly string[];
  readText(path: string): string;
  /**
   * Replaces the file in one step. If the process is killed during this step, the file contains the old or the new text, never
   * a mix. After an error no temporary file remains.
   */
  replace(path: string, text: string): void;
  rename(from: string, to: string): void;
  /** Removes the file. Succeeds when there is no such file. */
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
      // EINVAL means that the path is not a link.
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
      // On a full disk the incomplete file would take the little space that is left.
      fs.rmSync(`${path}.tmp`, { force: true });
      throw error;
    }
  },
  rename: (from, to) => fs.renameSync(from, to),
  remove: (path) => fs.rmSync(path, { force: true }),
  makeDirectory: (path) => void fs.mkdirSync(path, { recursive: true, mode: 0o700 }),
};

/** Wraps a disk so that a worker can change nothing more once another worker has taken over. */
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
/**
 * Linux's O_PATH, which Node does not export. It gives a descriptor of a file without opening the file, because opening a
 * device or a FIFO may have effects.
 */
const O_PATH = 0o10000000;
const MAX_TRIES = 5;

/**
 * Opens the regular file at `path` for reading and appending. Checks the file's type before opening it, because opening a FIFO
 * may block, and opening a device may have any effect. The descriptor of the check is reopened, so nobody can replace the file
 * between the two steps.
 * @returns undefined when there is no regular file at `path`.
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
 * Like openRegular, but creates the file (0640) when it is missing. Anything else at `path` is removed first: it may be
 * cri-dockerd's symlink to the spool, through which we must not write, or something that a pod has put there.
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
  // If `path` is a directory, unlink(2) fails.
  if (stat !== undefined && !stat.isFile()) fs.unlinkSync(path);
}
