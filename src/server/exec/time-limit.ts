import { isInContainer } from '../../node/cgroup';
import { withDeadline } from '../../lib/async/deadline';
import { unavailable } from '../../lib/errors';
import { pause } from '../../lib/async/abortable';
import { processAgeMs } from '../../node/process/process-info';
import type { Services } from '../services';

/** Time for a busy Engine to start a command, or to report how it ended. */
export const ENGINE_MS = 60_000;
const POLL_MS = 100;
/** The Engine closes the output 2 s after the command ended, even if other processes still hold it. */
const OUTPUT_MS = 3_000;

/** The only error that kubelet sees as a timeout. */
export class RanTooLong extends Error {}

export interface LimitedExec {
  readonly containerId: string;
  readonly execId: string;
  /** From the command's start to its own exit. */
  readonly limitMs: number;
  /** Resolves or rejects when the command's output has ended. */
  readonly outputEnd: Promise<void>;
}

/**
 * Waits until the time of a started command is up.
 * @returns the exit code if the command has ended, although other processes may still hold its output.
 * @throws RanTooLong; UNAVAILABLE if the Engine neither starts the command nor reports its end.
 */
export async function watchLimit(
  { docker, settings }: Pick<Services, 'docker' | 'settings'>,
  { containerId, execId, limitMs, outputEnd }: LimitedExec,
  signal: AbortSignal,
): Promise<number> {
  const told = performance.now();
  /** The latest time at which it had not started. */
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
    wait = POLL_MS;
    if (Pid === 0) {
      if (now - told > limitMs + ENGINE_MS) throw unavailable('the Engine has not started the command');
      start = now;
      continue;
    }
    const age = settings.localEngine ? await ageOf(Pid, containerId) : now - start;
    if (age === undefined) {
      if (now - told > limitMs + ENGINE_MS)
        throw unavailable('the Engine does not know that the command has ended');
      continue;
    }
    // It cannot have started before the request; if /proc shows the time of another clock, only this is known.
    const ran = age < 0 ? now - start : Math.min(age, now - start);
    if (ran >= limitMs) throw new RanTooLong(`the command has run for ${ran} ms`);
    wait = limitMs - ran;
  }
}

/** Undefined if the process has ended and the Engine has not noticed it yet. */
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
