import { isInContainer } from '../../node/cgroup/members';
import { withDeadline } from '../../lib/async/deadline';
import { unavailable } from '../../lib/errors';
import { pause } from '../../lib/async/abortable';
import { processAgeMs } from '../../node/process/process-info';
import type { Services } from '../services';

/** How long a busy Engine may take to start a command, or to tell how one has ended. */
export const ENGINE_MS = 60_000;
const POLL_MS = 100;
/** The Engine ends the output of an ended command after 2 s, though others of its processes hold it. */
const OUTPUT_MS = 3_000;

/** Only this is a timeout to kubelet. */
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
 * Waits until the time of a command that was told to start is up.
 * @returns its exit code when it has ended all the same: others of its processes may hold its output.
 * @throws RanTooLong; UNAVAILABLE when the Engine lets it neither run nor end.
 */
export async function watchLimit(
  { docker, settings }: Pick<Services, 'docker' | 'settings'>,
  { containerId, execId, limitMs, outputEnd }: LimitedExec,
  signal: AbortSignal,
): Promise<number> {
  const told = performance.now();
  /** The latest moment at which it had not started. */
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
    // It cannot have begun before it was told to; where /proc shows another clock's time, that is what is left.
    const ran = age < 0 ? now - start : Math.min(age, now - start);
    if (ran >= limitMs) throw new RanTooLong(`the command has run for ${ran} ms`);
    wait = limitMs - ran;
  }
}

/** Undefined when its process has ended and the Engine has not noticed yet. */
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
