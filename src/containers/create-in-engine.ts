import { EngineError } from '../docker/errors';
import { messageOf } from '../lib/errors';
import type { EngineContainerCreate } from '../engine/types';
import type { ContainerServices } from './services';

/**
 * Creates a container of the Engine for a handler that holds its name.
 *
 * A call that is cancelled or torn may have succeeded in the Engine all the same. Its event was left to us because we
 * hold the name, so look: the store shows what is there, and kubelet's retry or GC deals with it.
 * @returns its id.
 */
export async function createInEngine(
  {
    docker,
    containerSync,
    logger,
    spoolMode,
  }: Pick<ContainerServices, 'docker' | 'containerSync' | 'logger' | 'spoolMode'>,
  name: string,
  body: EngineContainerCreate,
  signal: AbortSignal,
): Promise<string> {
  try {
    return await spoolMode.create(body, (sent) => docker.createContainer(name, sent, { signal }));
  } catch (error) {
    if (!(error instanceof EngineError)) {
      containerSync.discover(name).catch((failure: unknown) => {
        logger.debug(() => `No look after the failed create of ${name}: ${messageOf(failure)}`);
      });
    }
    throw error;
  }
}
