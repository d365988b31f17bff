import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, chmod, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { DockerClient } from '../../docker/client';
import { withDeadline } from '../../lib/async/deadline';
import { errnoOf, failedPrecondition, internal, messageOf } from '../../lib/errors';

/** The directory in the archive, as other CRI runtimes call it. */
const IMAGES = 'checkpoint';
/** The archive while it is written, beside that directory. */
const ARCHIVE = 'archive.tar';

export interface CheckpointRequest {
  readonly docker: Pick<DockerClient, 'checkpointContainer'>;
  readonly id: string;
  /** An absolute path. */
  readonly location: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * Lets the Engine write its images beside `location` (they can be as large as the container's memory), packs them, and
 * renames the archive to `location`. Only root may read it, because it holds all secrets of the processes. No other file stays.
 */
export async function checkpointToArchive(request: CheckpointRequest): Promise<void> {
  const { docker, id, location, timeoutMs, signal } = request;
  if (await isDirectory(location)) throw failedPrecondition(`location: ${location} is a directory`);
  const work = await makeWorkDirectory(location);
  try {
    await withDeadline(`The checkpoint of ${id}`, timeoutMs, signal, async (limit) => {
      await docker.checkpointContainer(id, work, IMAGES, timeoutMs, { signal: limit });
      const archive = join(work, ARCHIVE);
      await pack(work, archive, limit);
      await chmod(archive, 0o600);
      await rename(archive, location);
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

async function makeWorkDirectory(location: string): Promise<string> {
  try {
    return await mkdtemp(join(dirname(location), '.dockbridge-'));
  } catch (error) {
    throw failedPrecondition(`location: cannot write to ${dirname(location)} (${errnoOf(error) ?? ''})`, {
      cause: error,
    });
  }
}

async function pack(work: string, archive: string, signal: AbortSignal): Promise<void> {
  try {
    await promisify(execFile)('tar', ['--create', '--file', archive, '--directory', work, IMAGES], {
      signal,
    });
  } catch (error) {
    signal.throwIfAborted();
    throw internal(`the checkpoint cannot be packed: ${messageOf(error)}`, { cause: error });
  }
}

/** The PATH of an Engine that systemd started; our own may differ. */
const USUAL = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** @param path directories to look in besides the usual ones, as in `PATH`. */
export async function hasProgram(
  name: string,
  path = '',
  usual: readonly string[] = USUAL,
): Promise<boolean> {
  for (const directory of [...path.split(':').filter((part) => part !== ''), ...usual]) {
    try {
      await access(join(directory, name), constants.X_OK);
      return true;
    } catch {
      // Not in this one.
    }
  }
  return false;
}
