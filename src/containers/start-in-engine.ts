import type { DockerClient } from '../docker/client';
import { EngineError } from '../docker/errors';
import { RuntimeError } from '../lib/errors';
import type { MountRecord } from '../store/records';
import { explainStartError } from '../translate/container/start-error';

/** Where the container itself is at fault, or what it needs; 404 also says that something it joins is gone. */
const ITS_OWN_FAULT: readonly number[] = [400, 404, 409, 500];

/** FAILED_PRECONDITION, in words a person can act on. */
export class StartFailure extends RuntimeError {
  constructor(
    readonly engineText: string,
    mounts: readonly MountRecord[],
  ) {
    super('FAILED_PRECONDITION', explainStartError(engineText, mounts));
    this.name = 'StartFailure';
  }
}

/**
 * Starts a container of the Engine.
 * @param mounts what it was asked for, to name the one that is wrong.
 * @throws StartFailure when it is the container that cannot start; the Engine's own error otherwise.
 */
export async function startInEngine(
  docker: DockerClient,
  id: string,
  signal: AbortSignal,
  mounts: readonly MountRecord[] = [],
): Promise<void> {
  try {
    await docker.startContainer(id, { signal });
  } catch (error) {
    if (!(error instanceof EngineError) || !ITS_OWN_FAULT.includes(error.statusCode)) throw error;
    throw new StartFailure(error.message, mounts);
  }
}
