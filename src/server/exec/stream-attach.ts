import { withDeadline } from '../../lib/async/deadline';
import { failedPrecondition, unavailable } from '../../lib/errors';
import type { AttachRequest, ClientStreams } from '../../streaming/backend';
import { ClientOutput } from './client-output';
import { copyStreams, followSizes, type StreamingParts } from './client-streams';
import { lookForDeath, untilContainerEnds } from './until-container-ends';

/** The Engine ends an attach before it reports the container's death. */
const DEATH_MS = 5_000;

/**
 * Connects a client with a container's first process until that ends or the client leaves. The end of the client's input
 * ends the container's only if it was created with stdin_once; the Engine takes care of that.
 */
export async function streamAttach(
  parts: StreamingParts,
  { containerId, stdin }: AttachRequest,
  client: ClientStreams,
): Promise<void> {
  const { docker, store, logger, sessions, backlog } = parts;
  const container = store.containers.get(containerId);
  if (container?.state !== 'running') throw failedPrecondition(`container ${containerId} is not running`);
  const place = sessions.join(containerId);
  // The Engine lets a container write only what all its attached clients have read (ADR 0027). Only a container that
  // was made for one client's session may wait for that client.
  if (!(stdin && container.stdin && container.stdinOnce)) place.hurry();
  const whileRunning = untilContainerEnds(parts, containerId, client.gone, () => place.hurry());
  const { signal } = whileRunning;
  try {
    const streams = { stdin: stdin && container.stdin, stdout: true, stderr: true };
    const connection = await docker.attachContainer(containerId, streams, { signal });
    if (container.tty)
      followSizes(client, (size) => docker.resizeContainer(containerId, size, { signal }), logger);
    const output = new ClientOutput(client, place.hurried, backlog, () => {
      void lookForDeath(parts, containerId, () => place.hurry());
    });
    await copyStreams(connection, client, output, signal, container.tty);
    await expectDeath(parts, containerId, client.gone);
  } finally {
    whileRunning.release();
    place.leave();
  }
}

/** @throws UNAVAILABLE if the container still runs, so that only the connection has ended. */
async function expectDeath({ store }: StreamingParts, containerId: string, gone: AbortSignal): Promise<void> {
  try {
    await withDeadline('The death of an attached container', DEATH_MS, gone, (limit) =>
      store.containers.waitFor(containerId, ({ state }) => state !== 'running', limit),
    );
  } catch {
    gone.throwIfAborted();
    throw unavailable(`the Engine has ended the session, but container ${containerId} still runs`);
  }
}
