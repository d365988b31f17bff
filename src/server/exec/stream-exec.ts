import type { Duplex } from 'node:stream';
import type { TerminalSize } from '../../docker/client';
import { EngineError } from '../../docker/errors';
import { messageOf } from '../../lib/errors';
import type { ClientStreams, ExecRequest } from '../../streaming/backend';
import { ClientOutput } from './client-output';
import { copyStreams, followSizes, type StreamingParts } from './client-streams';
import { exitCodeOf } from './command';
import { killCommand, type AbandonedCommand } from './kill-command';
import { containerEnded, failedByEnd, lookForDeath, untilContainerEnds } from './until-container-ends';

/** A client with a terminal sends its size as soon as it is connected. */
const FIRST_SIZE_MS = 200;

/**
 * Runs a command for a streaming client to its end, or until the client has gone: then the command is killed.
 * @returns the exit code.
 */
export async function streamExec(
  parts: StreamingParts,
  request: ExecRequest,
  client: ClientStreams,
): Promise<number> {
  const { docker, logger, sessions, backlog, startedCommands } = parts;
  const { containerId, command, tty } = request;
  const place = sessions.join(containerId);
  const whileRunning = untilContainerEnds(parts, containerId, client.gone, () => place.hurry());
  const { signal } = whileRunning;
  // Always attach both outputs, because the end of the connection shows the end of the command.
  const streams = { stdin: request.stdin, stdout: true, stderr: true };
  let told: AbandonedCommand | undefined;
  const outcome = { isRefused: false };
  try {
    const id = await docker.createExec(containerId, command, { tty, streams, signal });
    const size = tty ? await client.sizes.first(FIRST_SIZE_MS, signal) : undefined;
    told = { containerId, execId: id, forget: startedCommands.note({ containerId, execId: id }) };
    const connection = await start(parts, id, tty, size, signal).catch((error: unknown) => {
      outcome.isRefused = error instanceof EngineError;
      throw error;
    });
    if (tty) followSizes(client, (size) => docker.resizeExec(id, size, { signal }), logger);
    const output = new ClientOutput(client, place.hurried, backlog, () => {
      void lookForDeath(parts, containerId, () => place.hurry());
    });
    await copyStreams(connection, client, output, signal, tty);
    const exitCode = await exitCodeOf(parts, containerId, id, signal);
    told.forget();
    return exitCode;
  } catch (error) {
    if (outcome.isRefused) told?.forget();
    else if (told !== undefined) await killCommand(parts, told);
    const byEnd = told !== undefined && (await failedByEnd(parts, containerId, error, client.gone));
    throw byEnd ? containerEnded(containerId) : error;
  } finally {
    whileRunning.release();
    place.leave();
  }
}

/** Sets the terminal's size before anything is read from it: with the start, or on an old Engine right after it. */
async function start(
  { docker, logger }: StreamingParts,
  execId: string,
  tty: boolean,
  size: TerminalSize | undefined,
  signal: AbortSignal,
): Promise<Duplex> {
  const starting = docker.startExec(execId, { tty, size, signal });
  if (size !== undefined) {
    const resized = docker.resizeExec(execId, size, { signal }).catch((error: unknown) => {
      logger.debug(
        () => 'Cannot resize a terminal',
        () => ({ error: messageOf(error) }),
      );
    });
    await Promise.all([starting, resized]);
  }
  return starting;
}
