import type { Duplex } from 'node:stream';
import type { TerminalSize } from '../../docker/client';
import { Demultiplexer, type StreamKind } from '../../docker/demux';
import { toRuntimeError } from '../../docker/errors';
import { messageOf } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import type { ClientStreams } from '../../streaming/backend';
import type { Services } from '../services';
import type { Backlog, ClientOutput } from './client-output';
import { torn } from './command';

/** What each session of an exec or attach works with. */
export type StreamingParts = Pick<
  Services,
  'docker' | 'store' | 'settings' | 'logger' | 'sessions' | 'startedCommands'
> & {
  readonly backlog: Backlog;
};

/**
 * Joins a client with a hijacked Engine connection until the Engine ends it; the connection is destroyed whatever
 * happens, also when the signal fires.
 * @param output decides how long the client is waited for.
 * @param raw a terminal's connection, which is not multiplexed.
 */
export async function converse(
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
  // Input that cannot be written is for a process that has ended: no news.
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
  if (!demultiplexer.isWhole) throw torn();
}

/** Hands on terminal sizes one after the other; those that were overtaken meanwhile are left out. */
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
        // The process has ended, as a rule.
        logger.debug(() => `A terminal could not be resized: ${messageOf(error)}`);
      }
    }
    busy = false;
  };
  client.sizes.listen((size) => {
    next = size;
    if (!busy) void work();
  });
}
