import { failedPrecondition } from '../../lib/errors';
import type { AttachRequest, ClientStreams } from '../../streaming/backend';
import type { Services } from '../services';
import { converse, followSizes } from './conversation';

/**
 * Joins a client with a container's first process until that ends or the client leaves. The end of the client's
 * input is the container's only if it was created with stdin_once: the Engine sees to that.
 */
export async function streamAttach(
  { docker, store, logger }: Pick<Services, 'docker' | 'store' | 'logger'>,
  { containerId, stdin }: AttachRequest,
  client: ClientStreams,
): Promise<void> {
  const container = store.containers.get(containerId);
  if (container?.state !== 'running') throw failedPrecondition(`container ${containerId} is not running`);
  const signal = client.gone;
  const streams = { stdin: stdin && container.stdin, stdout: true, stderr: true };
  const connection = await docker.attachContainer(containerId, streams, { signal });
  if (container.tty)
    followSizes(client, (size) => docker.resizeContainer(containerId, size, { signal }), logger);
  await converse(connection, client, signal, container.tty);
}
