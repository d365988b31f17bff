import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, normalize } from 'node:path';
import { promisify } from 'node:util';
import type { DockerClient } from '../../docker/client';
import { withDeadline } from '../../lib/async/deadline';
import {
  errnoOf,
  failedPrecondition,
  internal,
  invalidArgument,
  messageOf,
  RuntimeError,
} from '../../lib/errors';
import { hasProgram } from '../../node/programs';
import type { cri, Decoded } from '../../proto';
import { getRunningContainer } from '../../translate/shared/lookup';
import { integer, nonEmpty } from '../../translate/shared/validate';
import type { CallContext, Services } from '../services';

/** The limit when the request has none. */
const DEFAULT_TIMEOUT_SECONDS = 120;
const MAX_TIMEOUT_SECONDS = 24 * 3600;

/**
 * Writes CRIU's images of the container's processes into a tar at `location`. The container keeps running. The tar lacks
 * the writable layer, because the Engine's checkpoint does not contain it.
 */
export async function checkpointContainer(
  services: Services,
  request: Decoded<cri.ICheckpointContainerRequest>,
  { signal }: CallContext,
): Promise<cri.ICheckpointContainerResponse> {
  const { docker, store } = services;
  const { id } = getRunningContainer(store, request.container_id);
  const location = normalize(nonEmpty(request.location, 'location'));
  if (!isAbsolute(location) || location.endsWith('/'))
    throw invalidArgument('location', `${request.location} is not the absolute path of a file`);
  const seconds = integer(request.timeout, 'timeout', 0, MAX_TIMEOUT_SECONDS) || DEFAULT_TIMEOUT_SECONDS;
  const obstacle = await obstacleTo(services);
  if (obstacle !== undefined) throw new RuntimeError('UNIMPLEMENTED', `cannot checkpoint: ${obstacle}`);
  await checkpointToArchive({ docker, id, location, timeoutMs: seconds * 1000, signal });
  return {};
}

/**
 * Returns why checkpoints are not possible; undefined if they are possible. The caller answers UNIMPLEMENTED with the
 * reason, because only this code makes kubelet report "not supported".
 */
async function obstacleTo({ store, settings }: Services): Promise<string | undefined> {
  if (!settings.localEngine)
    return 'the Engine runs on another machine, but location is a path on this machine';
  if (store.engine?.experimental !== true)
    return 'Docker Engine makes checkpoints only with "experimental": true in its daemon.json';
  if (!(await hasProgram('criu', process.env.PATH))) return 'CRIU (criu) is not installed on this node';
  return undefined;
}

/** The directory in the archive. Other CRI runtimes use the same name. */
const IMAGES = 'checkpoint';
/** The name of the archive, next to the directory IMAGES, while it is written. */
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
 * Lets the Engine write its images next to `location` (they can be as large as the container's memory), packs them, and
 * renames the archive to `location`. Only root may read the archive, because it contains all secrets of the processes. No
 * other file remains.
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
