import type { Duplex } from 'node:stream';
import type { TerminalSize } from '../../docker/client';
import { Demultiplexer, type StreamKind } from '../../docker/streams';
import { toRuntimeError } from '../../docker/errors';
import { messageOf } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import type { ClientStreams } from '../../streaming/backend';
import type { Services } from '../services';
import type { Backlog, ClientOutput } from './client-output';
import { connectionBroke } from './command';

/** The services that an exec or attach session uses. */
export type StreamingParts = Pick<
  Services,
  'docker' | 'store' | 'settings' | 'logger' | 'sessions' | 'startedCommands'
> & {
  readonly backlog: Backlog;
};

/**
 * Connects a client with a hijacked Engine connection until the Engine ends it. At the end the connection is always
 * destroyed, also when the signal fires.
 * @param output decides how long to wait for the client.
 * @param raw whether it is the connection of a terminal, which is not multiplexed.
 */
export async function copyStreams(
  connection: Duplex,
  { stdin }: Pick<ClientStreams, 'stdin'>,
  output: ClientOutput,
  signal: AbortSignal,
  raw: boolean,
): Promise<void> {
  // A hijacked connection ignores the signal of its request.
  const onAbort = (): void => {
    connection.destroy(signal.reason as Error);
  };
  const endInput = (): void => {
    connection.end();
  };
  signal.addEventListener('abort', onAbort, { once: true });
  connection.on('error', () => undefined);
  // A write error means that the process has ended, which is noticed anyway.
  stdin?.pipe(connection);
  // A client may reset its input instead of ending it.
  stdin?.once('close', endInput);
  try {
    signal.throwIfAborted();
    await copyOutput(connection, output, signal, raw);
  } catch (error) {
    throw toRuntimeError(error, signal);
  } finally {
    signal.removeEventListener('abort', onAbort);
    stdin?.off('close', endInput).unpipe(connection);
    connection.destroy();
  }
}

async function copyOutput(
  connection: Duplex,
  output: ClientOutput,
  signal: AbortSignal,
  raw: boolean,
): Promise<void> {
  const pieces: [StreamKind, Buffer][] = [];
  const demultiplexer = new Demultiplexer((kind, data) => pieces.push([kind, data]));
  for await (const chunk of connection as AsyncIterable<Buffer>) {
    if (raw) pieces.push([1, chunk]);
    else demultiplexer.write(chunk);
    for (const [kind, data] of pieces.splice(0)) await output.put(kind, data, signal);
  }
  if (!demultiplexer.isWhole) throw connectionBroke();
}

/** Applies terminal sizes one after the other. A size that a newer one has replaced meanwhile is skipped. */
export function followSizes(
  client: ClientStreams,
  resize: (size: TerminalSize) => Promise<void>,
  logger: Logger,
): void {
  let next: TerminalSize | undefined;
  let busy = false;
  const work = async (): Promise<void> => {
    busy = true;
    for (let size = next; size !== undefined; size = next) {
      next = undefined;
      try {
        await resize(size);
      } catch (error) {
        // Usually the process has ended.
        logger.debug(
          () => 'Cannot resize a terminal',
          () => ({ error: messageOf(error) }),
        );
      }
    }
    busy = false;
  };
  client.sizes.listen((size) => {
    next = size;
    if (!busy) void work();
  });
}
