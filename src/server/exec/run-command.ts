import type { Duplex } from 'node:stream';
import { EngineError, toRuntimeError } from '../../docker/errors';
import { sharedAbortController, withDeadline } from '../../lib/async/deadline';
import { cancelled, deadlineExceeded, hasCode, messageOf, unavailable } from '../../lib/errors';
import type { Services } from '../services';
import { CapturedOutput } from './captured-output';
import { exitCodeOf, connectionBroke } from './command';
import { killCommand, type AbandonedCommand } from './kill-command';
import { ENGINE_MS, RanTooLong, watchLimit } from './time-limit';
import { containerEnded, failedByEnd, untilContainerEnds } from './until-container-ends';

export interface CommandResult {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  readonly exitCode: number;
}

type Parts = Pick<Services, 'docker' | 'logger' | 'settings' | 'store' | 'outputBudget' | 'startedCommands'>;

/** The command, once it may have started. */
interface Started {
  command?: AbandonedCommand;
  /** Whether the Engine refused the start, so that there is nothing to kill. */
  isRefused?: boolean;
}

/**
 * Creates, starts and inspects an exec. Ends early when the command has run for `timeoutSeconds` (0 = no limit) or when the
 * signal fires; then it kills the command's processes before it rejects, because the Engine has no call for that.
 * @throws DEADLINE_EXCEEDED only for the command's own timeout: kubelet restarts containers for this code.
 */
export async function runCommand(
  parts: Parts,
  containerId: string,
  command: readonly string[],
  timeoutSeconds: number,
  signal: AbortSignal,
): Promise<CommandResult> {
  const whileRunning = untilContainerEnds(parts, containerId, signal);
  const output = new CapturedOutput(parts.outputBudget);
  const started: Started = {};
  try {
    const stream = await start(parts, containerId, command, started, whileRunning.signal);
    const execId = started.command?.execId ?? '';
    const limitMs = timeoutSeconds * 1000;
    const exitCode = await join(parts, { containerId, execId, limitMs, stream, output }, whileRunning.signal);
    started.command?.forget();
    return { ...output.finish(), exitCode };
  } catch (error) {
    const { command: told, isRefused } = started;
    if (isRefused === true || hasCode(error, 'RESOURCE_EXHAUSTED')) told?.forget();
    else if (told !== undefined) await killCommand(parts, told);
    if (told !== undefined && (await failedByEnd(parts, containerId, error, signal)))
      throw containerEnded(containerId);
    const name = JSON.stringify(command[0]);
    if (error instanceof RanTooLong)
      throw deadlineExceeded(`command ${name} timed out after ${timeoutSeconds} s`);
    if (signal.aborted || !hasCode(error, 'DEADLINE_EXCEEDED')) throw error;
    throw unavailable(`command ${name}: ${messageOf(error)}`, { cause: error });
  } finally {
    output.release();
    whileRunning.release();
  }
}

/** The time that the Engine needs for the start does not count against the command's timeout. */
async function start(
  { docker, startedCommands }: Parts,
  containerId: string,
  command: readonly string[],
  started: Started,
  parent: AbortSignal,
): Promise<Duplex> {
  return withDeadline('the start of a command', ENGINE_MS, parent, async (signal) => {
    const execId = await docker.createExec(containerId, command, { signal });
    // An exec that was not started needs no killing.
    signal.throwIfAborted();
    started.command = { containerId, execId, forget: startedCommands.note({ containerId, execId }) };
    try {
      return await docker.startExec(execId, { signal });
    } catch (error) {
      started.isRefused = error instanceof EngineError;
      throw error;
    }
  });
}

interface Running {
  readonly containerId: string;
  readonly execId: string;
  /** 0 = none. */
  readonly limitMs: number;
  readonly stream: Duplex;
  readonly output: CapturedOutput;
}

/** Waits for the end of a command and of its output, or until its time is up. @returns its exit code. */
async function join(
  parts: Parts,
  { containerId, execId, limitMs, stream, output }: Running,
  parent: AbortSignal,
): Promise<number> {
  const over = sharedAbortController();
  const onParent = (): void => over.abort(parent.reason);
  parent.addEventListener('abort', onParent, { once: true });
  if (parent.aborted) onParent();
  const outputEnd = drain(stream, output, over.signal);
  const ends = [outputEnd.then(() => exitCodeOf(parts, containerId, execId, over.signal))];
  if (limitMs > 0) ends.push(watchLimit(parts, { containerId, execId, limitMs, outputEnd }, over.signal));
  try {
    return await Promise.race(ends);
  } finally {
    parent.removeEventListener('abort', onParent);
    over.abort(cancelled('the command has ended'));
    // No work continues after this function has returned.
    await Promise.allSettled(ends);
  }
}

/** Reads to the end, and then always destroys the connection: a hijacked one ignores the request's signal. */
async function drain(stream: Duplex, output: CapturedOutput, signal: AbortSignal): Promise<void> {
  const onAbort = (): void => {
    stream.destroy(signal.reason as Error);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    signal.throwIfAborted();
    for await (const chunk of stream as AsyncIterable<Buffer>) output.write(chunk);
    if (!output.isWhole) throw connectionBroke();
  } catch (error) {
    throw toRuntimeError(error, signal);
  } finally {
    signal.removeEventListener('abort', onAbort);
    stream.destroy();
  }
}
