import type { Duplex } from 'node:stream';
import { EngineError, toRuntimeError } from '../../docker/errors';
import { pause } from '../../lib/async/abortable';
import { sharedAbortController, withDeadline } from '../../lib/async/deadline';
import { cancelled, deadlineExceeded, hasCode, messageOf, unavailable } from '../../lib/errors';
import { isInContainer } from '../../node/cgroup';
import { processAgeMs } from '../../node/process/process-info';
import type { cri, Decoded } from '../../proto';
import { getRunningContainer } from '../../translate/shared/lookup';
import { integer } from '../../translate/shared/validate';
import { CapturedOutput } from '../exec/captured-output';
import { commandWords, connectionBroke, exitCodeOf } from '../exec/command';
import { killCommand, type AbandonedCommand } from '../exec/kill-command';
import { containerEnded, failedByEnd, untilContainerEnds } from '../exec/until-container-ends';
import type { CallContext, Services } from '../services';

/** The longest timeout: two weeks, in seconds. A timer cannot be set to much more. */
const MAX_TIMEOUT_SECONDS = 14 * 24 * 3600;

/** How long a busy Engine may take to start a command, or to report how it ended. */
const ENGINE_MS = 60_000;
const AGE_POLL_MS = 100;
/**
 * How long to wait for the output after the command's end. The Engine closes the output 2 s after the command's end, even
 * if other processes still hold it.
 */
const OUTPUT_MS = 3_000;

/**
 * Runs a command to its end, which takes at least three Engine calls. A non-zero exit code is not an error. A command that runs
 * longer than `timeout` (seconds, 0 = no limit) is killed with all its children, and the answer is DEADLINE_EXCEEDED.
 */
export async function execSync(
  services: Services,
  request: Decoded<cri.IExecSyncRequest>,
  { signal }: CallContext,
): Promise<cri.IExecSyncResponse> {
  const command = commandWords(request.cmd);
  const timeoutSeconds = integer(request.timeout, 'timeout', 0, MAX_TIMEOUT_SECONDS);
  const container = getRunningContainer(services.store, request.container_id);
  const { stdout, stderr, exitCode } = await runCommand(
    services,
    container.id,
    command,
    timeoutSeconds,
    signal,
  );
  return { stdout, stderr, exit_code: exitCode };
}

interface CommandResult {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  readonly exitCode: number;
}

type Parts = Pick<Services, 'docker' | 'logger' | 'settings' | 'store' | 'outputBudget' | 'startedCommands'>;

interface Started {
  /** Undefined as long as the command cannot have started. */
  command?: AbandonedCommand;
  /** Whether the Engine refused the start, so that there is nothing to kill. */
  isRefused?: boolean;
}

/**
 * Creates, starts and inspects an exec. Rejects early when the command has run for `timeoutSeconds` (0 = no limit) or when
 * the signal fires. In these cases, the command's processes are killed first, because the Engine has no call to end an exec.
 * @throws DEADLINE_EXCEEDED only for the command's own timeout, because kubelet restarts containers for this code.
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
    const stream = await startCommand(parts, containerId, command, started, whileRunning.signal);
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

/** Starts the command. The time that the Engine needs for this does not count towards the command's timeout. */
async function startCommand(
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
  /** 0 means no limit. */
  readonly limitMs: number;
  readonly stream: Duplex;
  readonly output: CapturedOutput;
}

/**
 * Waits until a command and its output have ended, or until the command's time is up.
 * @returns the command's exit code.
 */
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

/**
 * Reads the whole output. The connection is always destroyed at the end, because a hijacked connection ignores the
 * request's signal.
 */
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

/** The only error that becomes a timeout for kubelet. */
export class RanTooLong extends Error {}

interface LimitedExec {
  readonly containerId: string;
  readonly execId: string;
  /** Limit from the command's start to its own exit. */
  readonly limitMs: number;
  /** Resolves or rejects when the command's output has ended. */
  readonly outputEnd: Promise<void>;
}

/**
 * Waits until the time of a started command is up.
 * @returns the exit code if the command has ended, even if other processes still hold its output.
 * @throws RanTooLong; UNAVAILABLE if the Engine neither starts the command nor reports its end.
 */
export async function watchLimit(
  { docker, settings }: Pick<Services, 'docker' | 'settings'>,
  { containerId, execId, limitMs, outputEnd }: LimitedExec,
  signal: AbortSignal,
): Promise<number> {
  const told = performance.now();
  /** The latest time at which the command was known not to have started. */
  let start = told;
  let wait = limitMs;
  for (;;) {
    await pause(wait, signal);
    signal.throwIfAborted();
    const { Running, Pid, ExitCode } = await withDeadline(
      'inspect of a command',
      ENGINE_MS,
      signal,
      (limit) => docker.inspectExec(execId, { signal: limit }),
    );
    if (!Running && ExitCode !== null) {
      await endOf(outputEnd, signal);
      return ExitCode;
    }
    const now = performance.now();
    wait = AGE_POLL_MS;
    if (Pid === 0) {
      if (now - told > limitMs + ENGINE_MS) throw unavailable('the Engine has not started the command');
      start = now;
      continue;
    }
    const age = settings.localEngine ? await ageOf(Pid, containerId) : now - start;
    if (age === undefined) {
      if (now - told > limitMs + ENGINE_MS)
        throw unavailable('the Engine has not noticed that the command has ended');
      continue;
    }
    // The command cannot have started before the request. If /proc uses another clock, only the time since the request is
    // certain.
    const ran = age < 0 ? now - start : Math.min(age, now - start);
    if (ran >= limitMs) throw new RanTooLong(`the command has run for ${ran} ms`);
    wait = limitMs - ran;
  }
}

/** Returns the age of a process in ms, or undefined if the process has ended and the Engine has not noticed this yet. */
async function ageOf(pid: number, containerId: string): Promise<number | undefined> {
  const age = await processAgeMs(pid);
  return (await isInContainer(pid, containerId)) ? age : undefined;
}

async function endOf(output: Promise<void>, signal: AbortSignal): Promise<void> {
  const over = new AbortController();
  const end = (): void => over.abort();
  output.then(end, end);
  signal.addEventListener('abort', end, { once: true });
  await pause(OUTPUT_MS, over.signal);
  signal.removeEventListener('abort', end);
  signal.throwIfAborted();
}
