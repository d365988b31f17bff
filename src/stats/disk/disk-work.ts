import { lstatSync, opendirSync, readdirSync, readlinkSync, type Dir, type Stats } from 'node:fs';
import { join } from 'node:path';

/** Length of one step of a walk in ms. It is long enough to make progress and short enough not to delay other programs. */
const SLICE_MS = 10;

export interface Measured extends Size {
  /** Milliseconds that the walk itself took, without its pauses. */
  readonly busyMs: number;
}

/** Work on files that is too slow for the event loop. */
export interface DiskWork {
  /** Measures a directory. Resolves with undefined when the directory does not exist. */
  measure(directory: string): Promise<Measured | undefined>;
  openFiles(pids: readonly number[]): Promise<OpenFiles>;
  close(): Promise<void>;
}

/** Does the work on the calling thread. */
export class InThreadDiskWork implements DiskWork {
  private readonly pacer = new Pacer((ms) => this.rest(ms));
  private readonly resting = new Set<() => void>();
  private closed = false;

  async measure(directory: string): Promise<Measured | undefined> {
    const steps = walk(directory, SLICE_MS);
    let busyMs = 0;
    while (!this.closed) {
      const step = await this.pacer.run(() => {
        const start = performance.now();
        const next = steps.next();
        busyMs += performance.now() - start;
        return next;
      });
      if (step.done === true) return step.value && { ...step.value, busyMs };
    }
    return undefined;
  }

  /** Counts open files. This work is not slowed down, because a caller is waiting for it. */
  openFiles(pids: readonly number[]): Promise<OpenFiles> {
    return Promise.resolve(countOpenFiles(pids));
  }

  close(): Promise<void> {
    this.closed = true;
    for (const wake of this.resting) wake();
    return Promise.resolve();
  }

  private async rest(ms: number): Promise<void> {
    if (this.closed) return;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.resting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.resting.add(wake);
    });
  }
}

/** The share of one CPU that all walks together may use. */
const SHARE = 0.05;

/** Runs bursts of work one at a time, and pauses after each, so that all of them together use at most SHARE. */
export class Pacer {
  private queue: Promise<void> = Promise.resolve();

  constructor(private readonly rest: (ms: number) => Promise<void>) {}

  /** Runs `burst`, which is synchronous, when it is its turn. */
  run<T>(burst: () => T): Promise<T> {
    const mine = this.queue.then(() => {
      const start = performance.now();
      const result = burst();
      return { result, restMs: ((performance.now() - start) * (1 - SHARE)) / SHARE };
    });
    this.queue = mine.then(
      ({ restMs }) => this.rest(restMs),
      () => undefined,
    );
    return mine.then(({ result }) => result);
  }
}

/** The unit of st_blocks, in bytes. */
const BLOCK = 512;
/** Number of directory entries between two looks at the clock. */
const BATCH = 64;

export interface Size {
  /** Bytes on disk, counted as in `du`: holes do not count, and a hard-linked file counts once. */
  readonly bytes: number;
  readonly inodes: number;
}

/**
 * Walks a directory tree, including the root directory itself, in steps of about `sliceMs`. Omits other file systems that are
 * mounted in it. Files that change during the walk are counted as they were found. The walk is synchronous, so it needs a
 * thread of its own.
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

/** How many files of one container are examined for sockets, because this takes some microseconds per file. The rest are only counted. */
const MOST = 50_000;

export interface OpenFiles {
  readonly files: number;
  readonly sockets: number;
}

/**
 * Counts the open descriptors of the processes, and how many of the first 50,000 are sockets. Synchronous, so it needs a thread of
 * its own.
 */
export function countOpenFiles(pids: readonly number[]): OpenFiles {
  let files = 0;
  let sockets = 0;
  for (const pid of pids) {
    const directory = `/proc/${pid}/fd`;
    for (const name of list(directory)) {
      files += 1;
      if (files <= MOST && target(`${directory}/${name}`).startsWith('socket:')) sockets += 1;
    }
  }
  return { files, sockets };
}

/** Lists a process's descriptors; none when the process has ended. */
function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function target(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
}
