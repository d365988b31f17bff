import { open, readdir, readFile } from 'node:fs/promises';
import { errnoOf, failedPrecondition } from '../../lib/errors';
import { constants } from 'node:fs';
import { coalesce } from '../../lib/async/shared-work';
import { waitAtMost } from '../../lib/async/deadline';

/** A file of the kernel's; undefined when it cannot be read. */
export async function readText(path: string): Promise<string | undefined> {
  return readFile(path, 'latin1').catch(() => undefined);
}

/** Empty for a directory that does not exist or is none. */
export async function listDirectory(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return [];
    throw error;
  }
}

const TROUBLE: ReadonlySet<string | undefined> = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EIO']);

/** Whether a disk is full, read-only or broken: that passes, and must not end what only remembers something there. */
export function isDiskTrouble(error: unknown): boolean {
  return TROUBLE.has(errnoOf(error));
}

/** A file on a dead network file system must not hold its reader up. */
const LIMIT_MS = 5_000;

type Read = (path: string, maxBytes: number) => Promise<string>;

/** A regular file of at most `maxBytes`, read anew each time. */
export class SmallFile {
  private readonly read: () => Promise<string>;

  constructor(
    readonly path: string,
    maxBytes: number,
    read: Read = readRegular,
    private readonly limitMs = LIMIT_MS,
  ) {
    // A read that hangs keeps one of libuv's four threads: whoever comes meanwhile must not take another.
    this.read = coalesce(() => read(path, maxBytes));
  }

  /** @throws the system's error, FAILED_PRECONDITION for what is no such file, DEADLINE_EXCEEDED after 5 s. */
  async text(signal?: AbortSignal): Promise<string> {
    return waitAtMost(`Reading ${this.path}`, this.limitMs, this.read(), signal);
  }
}

/**
 * Without a limit of time.
 * @throws the system's error, FAILED_PRECONDITION for what is no such file.
 */
export async function readRegular(path: string, maxBytes: number): Promise<string> {
  // Not blocking: a pipe that nobody writes to would hold a thread for ever.
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
