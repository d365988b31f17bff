import type { Duplex } from 'node:stream';
import { hasStatus, toRuntimeError } from '../../docker/errors';
import { LONGEST_TIMER_MS, withDeadline } from '../../lib/deadline';
import { deadlineExceeded, hasCode } from '../../lib/errors';
import type { Services } from '../services';
import { CapturedOutput } from './captured-output';
import { exitCodeOf } from './exit-code';
import { killCommand } from './kill-command';
import { containerEnded, untilContainerEnds } from './until-container-ends';

export interface CommandResult {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  readonly exitCode: number;
}

type Parts = Pick<Services, 'docker' | 'logger' | 'settings' | 'store'>;

/**
 * create, start, inspect. Ends early by `timeoutSeconds` (0 = none; DEADLINE_EXCEEDED) or the signal; then the
 * command's processes are killed before this rejects, for the Engine has no call that would.
 */
export async function runCommand(
  parts: Parts,
  containerId: string,
  command: readonly string[],
  timeoutSeconds: number,
  signal: AbortSignal,
): Promise<CommandResult> {
  const { docker } = parts;
  const limitMs = timeoutSeconds === 0 ? LONGEST_TIMER_MS : timeoutSeconds * 1000;
  let startedId: string | undefined;
  const whileRunning = untilContainerEnds(parts, containerId, signal);
  try {
    return await withDeadline('command', limitMs, whileRunning.signal, async (limit) => {
      const execId = await docker.createExec(containerId, command, { signal: limit });
      // One that was never told to start needs no killing.
      limit.throwIfAborted();
      startedId = execId;
      const output = new CapturedOutput();
      await drain(await docker.startExec(execId, { signal: limit }), output, limit);
      const exitCode = await exitCodeOf(docker, execId, limit);
      return { stdout: output.stdout, stderr: output.stderr, exitCode };
    });
  } catch (error) {
    if (startedId !== undefined) await killCommand(parts, containerId, startedId);
    if (!signal.aborted && hasCode(error, 'DEADLINE_EXCEEDED') && timeoutSeconds > 0) {
      throw deadlineExceeded(`command ${JSON.stringify(command[0])} timed out after ${timeoutSeconds} s`);
    }
    throw startedId !== undefined && hasStatus(error, 404) ? containerEnded(containerId) : error;
  } finally {
    whileRunning.release();
  }
}

/** Reads to the end; the connection is destroyed whatever happens (a hijacked one ignores the request's signal). */
async function drain(stream: Duplex, output: CapturedOutput, signal: AbortSignal): Promise<void> {
  const onAbort = (): void => {
    stream.destroy(signal.reason as Error);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    signal.throwIfAborted();
    for await (const chunk of stream as AsyncIterable<Buffer>) output.write(chunk);
  } catch (error) {
    throw toRuntimeError(error, signal);
  } finally {
    signal.removeEventListener('abort', onAbort);
    stream.destroy();
  }
}
