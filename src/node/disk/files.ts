import { constants } from 'node:fs';
import { open, readdir, readFile } from 'node:fs/promises';
import { waitAtMost } from '../../lib/async/deadline';
import { coalesce } from '../../lib/async/shared-work';
import { errnoOf, failedPrecondition } from '../../lib/errors';

/**
 * Reads a file that the kernel generates.
 * @returns undefined when it cannot be read.
 */
export async function readText(path: string): Promise<string | undefined> {
  return readFile(path, 'latin1').catch(() => undefined);
}

/** Lists a directory. @returns no names when it does not exist or is not a directory. */
export async function listDirectory(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return [];
    throw error;
  }
}

const TROUBLE: ReadonlySet<string | undefined> = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EIO']);

/**
 * Whether the error means that a disk is full, read-only or broken. This may be temporary, and it must not fail work that only
 * keeps records on the disk.
 */
export function isDiskTrouble(error: unknown): boolean {
  return TROUBLE.has(errnoOf(error));
}

/** Time limit of a read in ms. A read hangs on a dead network file system. */
const LIMIT_MS = 5_000;

/** The parts that tests replace; production passes nothing. */
export interface SmallFileOverrides {
  readonly read?: typeof readRegular;
  readonly limitMs?: number;
}

/** A regular file of at most `maxBytes`, which is read again at each call. */
export class SmallFile {
  private readonly read: () => Promise<string>;
  private readonly limitMs: number;

  constructor(
    readonly path: string,
    maxBytes: number,
    { read = readRegular, limitMs = LIMIT_MS }: SmallFileOverrides = {},
  ) {
    this.limitMs = limitMs;
    // A read that hangs occupies one of libuv's four threads, so concurrent callers share one read.
    this.read = coalesce(() => read(path, maxBytes));
  }

  /**
   * Reads the text of the file.
   * @throws the system's error; FAILED_PRECONDITION when the path is not a regular file or the file is too large;
   * DEADLINE_EXCEEDED after 5 s.
   */
  async text(signal?: AbortSignal): Promise<string> {
    return waitAtMost(`Reading ${this.path}`, this.limitMs, this.read(), signal);
  }
}

/**
 * Reads a regular file of at most `maxBytes`, without a time limit.
 * @throws the system's error; FAILED_PRECONDITION when the path is not a regular file or the file is too large.
 */
export async function readRegular(path: string, maxBytes: number): Promise<string> {
  // Without O_NONBLOCK, opening a pipe that nobody writes to would block a thread forever.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const info = await file.stat();
    if (!info.isFile()) throw failedPrecondition('not a regular file');
    if (info.size > maxBytes) throw failedPrecondition(`larger than ${maxBytes} bytes`);
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}
