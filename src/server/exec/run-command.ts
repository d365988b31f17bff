import type { Duplex } from 'node:stream';
import { hasStatus, toRuntimeError } from '../../docker/errors';
import { withDeadline } from '../../lib/deadline';
import {
  deadlineExceeded,
  failedPrecondition,
  hasCode,
  internal,
  messageOf,
  type RuntimeError,
} from '../../lib/errors';
import { isInContainer, killProcessTree } from '../../lib/process-tree';
import { isRunning } from '../runtime/stop-container';
import type { Services } from '../services';
import { CapturedOutput } from './captured-output';

/** For the Engine calls that follow an end of the call: nobody waits for them but us. */
const CLEANUP_MS = 5_000;
const LONGEST_MS = 2 ** 31 - 1;
/** The Engine ends the streams of commands when their container has ended; if it does not within this, it never will. */
const CONTAINER_END_GRACE_MS = 500;
/** An exec whose output has ended may run on with its streams closed: asked again at growing intervals, ms. */
const POLL_MS = [20, 50, 100, 200, 500, 1000];

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
  const limitMs = timeoutSeconds === 0 ? LONGEST_MS : timeoutSeconds * 1000;
  let execId: string | undefined;
  const whileRunning = untilContainerEnds(parts, containerId, signal);
  try {
    return await withDeadline('command', limitMs, whileRunning.signal, async (limit) => {
      execId = await docker.createExec(containerId, command, { signal: limit });
      const output = new CapturedOutput();
      await drain(await docker.startExec(execId, { signal: limit }), output, limit);
      const exitCode = await exitCodeOf(parts, execId, limit);
      return { stdout: output.stdout, stderr: output.stderr, exitCode };
    });
  } catch (error) {
    if (execId !== undefined) await killCommand(parts, containerId, execId);
    if (!signal.aborted && hasCode(error, 'DEADLINE_EXCEEDED') && timeoutSeconds > 0) {
      throw deadlineExceeded(`command ${JSON.stringify(command[0])} timed out after ${timeoutSeconds} s`);
    }
    throw execId !== undefined && hasStatus(error, 404) ? containerEnded(containerId) : error;
  } finally {
    whileRunning.release();
  }
}

/**
 * A signal that follows `signal`, and fires when the container has ended: Engines (20.10 at least) may forget a command
 * that ends together with its container, and then neither end its stream nor know its exit code.
 */
function untilContainerEnds(
  { store }: Parts,
  containerId: string,
  signal: AbortSignal,
): { readonly signal: AbortSignal; release(): void } {
  const ended = new AbortController();
  const released = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const fire = (): void => ended.abort(containerEnded(containerId));
  store.containers
    .waitFor(containerId, (container) => !isRunning(container), released.signal)
    .then(
      () => {
        if (!released.signal.aborted) timer = setTimeout(fire, CONTAINER_END_GRACE_MS);
      },
      () => undefined,
    );
  return {
    signal: AbortSignal.any([signal, ended.signal]),
    release: () => {
      released.abort();
      clearTimeout(timer);
    },
  };
}

function containerEnded(containerId: string): RuntimeError {
  return failedPrecondition(`container ${containerId} ended while the command ran in it`);
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

async function exitCodeOf({ docker }: Parts, execId: string, signal: AbortSignal): Promise<number> {
  for (let attempt = 0; ; attempt++) {
    const exec = await docker.inspectExec(execId, { signal });
    if (!exec.Running) {
      if (exec.ExitCode === null) throw internal('the Engine reports an ended command without an exit code');
      return exec.ExitCode;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS[Math.min(attempt, POLL_MS.length - 1)]));
    signal.throwIfAborted();
  }
}

async function killCommand(
  { docker, settings, logger }: Parts,
  containerId: string,
  execId: string,
): Promise<void> {
  if (!settings.localEngine) {
    logger.warn('A timed-out command runs on: the Engine is remote and has no call to end it', {
      containerId,
    });
    return;
  }
  try {
    const { Running, Pid } = await withDeadline('exec inspect', CLEANUP_MS, undefined, (signal) =>
      docker.inspectExec(execId, { signal }),
    );
    if (!Running || Pid === 0) return;
    const gone = await killProcessTree(Pid, (pid) => isInContainer(pid, containerId));
    if (!gone) logger.warn('Processes of a timed-out command survive SIGKILL', { containerId, pid: Pid });
  } catch (error) {
    if (hasStatus(error, 404)) return;
    logger.warn('A timed-out command could not be killed', { containerId, error: messageOf(error) });
  }
}
