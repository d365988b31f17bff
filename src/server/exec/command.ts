import { pause } from '../../lib/async/abortable';
import { invalidArgument, unavailable } from '../../lib/errors';
import { isInContainer } from '../../node/cgroup';
import { holdsOutput } from '../../node/process/process-info';
import type { Wanted } from '../../streaming/backend';
import { nonEmpty, withoutNul } from '../../translate/shared/validate';
import type { Services } from '../services';
import { containerEnded, hasEnded } from './until-container-ends';

/**
 * Checks that a command names a program and that no word contains a NUL.
 * @throws INVALID_ARGUMENT when the check fails.
 */
export function commandWords(cmd: readonly string[]): readonly string[] {
  const [program] = cmd;
  if (program === undefined) throw invalidArgument('cmd', 'is required');
  nonEmpty(program, 'cmd[0]');
  return cmd.map((word, index) => withoutNul(word, `cmd[${index}]`));
}

/**
 * Returns the requested streams.
 * @throws INVALID_ARGUMENT for stderr on a terminal, which has only one output, and for a session without any stream.
 */
export function wantedStreams({ stdin, stdout, stderr, tty }: Wanted): Wanted {
  if (tty && stderr)
    throw invalidArgument('stderr', 'cannot be separated from stdout on a tty; request only one of them');
  if (!stdin && !stdout && !stderr)
    throw invalidArgument('stdin', 'one of stdin, stdout and stderr is required');
  return { stdin, stdout, stderr, tty };
}

/**
 * Intervals at which an exec's state is polled, in ms. Polling is needed because a command may close its streams and keep
 * running.
 */
const POLL_MS = [20, 50, 100, 200, 500, 1000];

type Parts = Pick<Services, 'docker' | 'settings'>;

/**
 * Returns the exit code of an exec whose output has ended.
 * @throws FAILED_PRECONDITION when the container ended before the command could start.
 * @throws UNAVAILABLE when the connection broke before the output ended.
 */
export async function exitCodeOf(
  { docker, settings }: Parts,
  containerId: string,
  execId: string,
  signal: AbortSignal,
): Promise<number> {
  for (let attempt = 0; ; attempt++) {
    const { Running, Pid, ExitCode } = await docker.inspectExec(execId, { signal });
    if (!Running) {
      if (ExitCode === null) throw connectionBroke();
      // Pid 0 means that the exec never started. The Engine then reports 126 to 128 both when the container has ended and
      // when the command does not exist.
      if (Pid === 0 && ExitCode !== 0 && (await hasEnded({ docker }, containerId, signal)))
        throw containerEnded(containerId);
      return ExitCode;
    }
    // The Engine gives the same answer for a command that closed its outputs and for a broken connection. The command's
    // open files show the difference.
    if (
      settings.localEngine &&
      Pid !== 0 &&
      (await isInContainer(Pid, containerId)) &&
      (await holdsOutput(Pid))
    )
      throw connectionBroke();
    await pause(POLL_MS[Math.min(attempt, POLL_MS.length - 1)] ?? 1000, signal);
    signal.throwIfAborted();
  }
}

export function connectionBroke(): Error {
  return unavailable("the connection that carries the command's output was cut before the command ended");
}
