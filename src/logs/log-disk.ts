import * as fs from 'node:fs';
import { dirname } from 'node:path';

/** What identifies a file through renames. `birth` (ns, '0' where the file system has none) tells reused inodes. */
export interface FileIdentity {
  readonly ino: string;
  readonly birth: string;
}

export interface FileFacts extends FileIdentity {
  readonly size: number;
  /** 0: removed while we hold it open. */
  readonly links: number;
}

/**
 * The file calls of this folder, synchronous on purpose: they run in a worker of their own, where a step (read,
 * translate, write, advance) must not be interleaved with a reopen or a commit, and where libuv's pool of four
 * threads, shared with the whole daemon, would be the bottleneck. Tests wrap it to die at every single call.
 */
export interface LogDisk {
  openRead(path: string): number;
  /** Opens for appending, creating the file (0640) and missing directories (0755); never follows a symlink. */
  openAppend(path: string): number;
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
  list(directory: string): readonly string[];
  readText(path: string): string;
  /** Replaces the file in one step: whoever is killed meanwhile leaves the old or the new text, never a mix. */
  replace(path: string, text: string): void;
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

const APPEND = fs.constants.O_RDWR | fs.constants.O_APPEND | fs.constants.O_CREAT | fs.constants.O_NOFOLLOW;

export const nodeLogDisk: LogDisk = {
  openRead: (path) => fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW),
  openAppend: (path) => {
    fs.mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    return fs.openSync(path, APPEND, 0o640);
  },
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
  list: (directory) => fs.readdirSync(directory),
  readText: (path) => fs.readFileSync(path, 'utf8'),
  replace: (path, text) => {
    fs.writeFileSync(`${path}.tmp`, text, { mode: 0o600 });
    fs.renameSync(`${path}.tmp`, path);
  },
  remove: (path) => fs.rmSync(path, { force: true }),
  makeDirectory: (path) => void fs.mkdirSync(path, { recursive: true, mode: 0o700 }),
};
