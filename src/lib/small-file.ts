import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { waitAtMost } from './deadline';
import { failedPrecondition } from './errors';

/** A file on a dead network file system must not hold its reader up. */
const LIMIT_MS = 5_000;

/**
 * The text of a regular file of at most `maxBytes`.
 * @throws the system's error, FAILED_PRECONDITION for what is no such file, DEADLINE_EXCEEDED after 5 s.
 */
export async function readSmallFile(path: string, maxBytes: number, signal?: AbortSignal): Promise<string> {
  return waitAtMost(`Reading ${path}`, LIMIT_MS, read(path, maxBytes), signal);
}

async function read(path: string, maxBytes: number): Promise<string> {
  // Not blocking: a pipe that nobody writes to would hold a thread of libuv's few for ever.
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
