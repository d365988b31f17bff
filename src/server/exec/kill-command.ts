import { hasStatus } from '../../docker/errors';
import { forEachLimited } from '../../lib/async/concurrency';
import { pause } from '../../lib/async/abortable';
import { messageOf } from '../../lib/errors';
import { cgroupMembers, isInContainer } from '../../node/cgroup';
import { hasUnreapedChildren, killProcessTree } from '../../node/process/process-tree';
import type { HandlerSettings, Services } from '../services';
import type { StartedCommand } from './started-commands';

/** How long the Engine may take to start an abandoned command or to answer a question about it. */
const PATIENCE_MS = 600_000;
/** How long the caller waits for the kill, which then continues in the background. */
const ANSWER_MS = 2_000;
const POLL_MS = [20, 50, 100, 250, 1_000, 5_000];

type Parts = Pick<Services, 'docker' | 'logger' | 'store'> & {
  readonly settings: Pick<HandlerSettings, 'localEngine'>;
};

/** A command that may be running. `forget` removes its record from disk. */
export interface AbandonedCommand extends StartedCommand {
  readonly forget: () => void;
}

/**
 * Ends a started exec with all its processes. This is needed because the Engine has no call to end an exec, and starts a
 * command even after its caller has disconnected. Resolves when the processes are gone, after 2 s at the latest, and
 * never rejects. If the Engine does not answer, the command's record stays on disk, so that the next daemon ends the
 * command. A command of a remote Engine cannot be ended.
 */
export async function killCommand(parts: Parts, command: AbandonedCommand): Promise<void> {
  if (!parts.settings.localEngine) {
    parts.logger.warn(
      'An abandoned command keeps running, because the Engine is remote and has no call to end it',
      {
        container: command.containerId,
      },
    );
    command.forget();
    return;
  }
  const killed = new AbortController();
  void kill(parts, command).then(() => killed.abort());
  await pause(ANSWER_MS, killed.signal);
}

async function kill(parts: Parts, { containerId, execId, forget }: AbandonedCommand): Promise<void> {
  const { logger, store } = parts;
  try {
    const pid = await runningPid(parts, execId);
    if (pid !== undefined) {
      // When a parent is killed, its orphans become children of the container's first process. If that process does not
      // reap its children, each orphan would count against the container's pids limit.
      const first = store.containers.get(containerId)?.pid ?? 0;
      const childrenFirst = first !== 0 && (await hasUnreapedChildren(first));
      const gone = await killProcessTree(
        pid,
        (member) => isInContainer(member, containerId),
        cgroupMembers(pid, containerId),
        childrenFirst,
      );
      if (!gone)
        logger.warn('Processes of an abandoned command survive SIGKILL', { container: containerId, pid });
    }
    forget();
  } catch (error) {
    logger.warn('Cannot kill an abandoned command', {
      container: containerId,
      error: messageOf(error),
    });
  }
}

/**
 * Inspects an exec until its command has started or ended. A failed inspect is repeated, because one failed answer must not
 * leave a command running.
 * @returns the command's pid, or undefined if the command has ended.
 * @throws when the time is up: the Engine's last error, or an error that says that the command has not started.
 */
async function runningPid({ docker }: Pick<Parts, 'docker'>, execId: string): Promise<number | undefined> {
  for (let attempt = 0, end = performance.now() + PATIENCE_MS; ; attempt++) {
    let failure: unknown = new Error('the Engine has not started the command');
    try {
      const { Running, Pid, ExitCode } = await docker.inspectExec(execId);
      if (Running && Pid !== 0) return Pid;
      if (ExitCode !== null) return undefined;
    } catch (error) {
      if (hasStatus(error, 404)) return undefined;
      failure = error;
    }
    if (performance.now() > end) throw failure;
    const ms = POLL_MS[Math.min(attempt, POLL_MS.length - 1)];
    // The timer must not keep this process alive.
    await new Promise<void>((resolve) => void setTimeout(resolve, ms).unref());
  }
}

const CONCURRENT_KILLS = 4;

/**
 * Ends the commands that a killed daemon left. Their clients, of ExecSync and of streaming sessions, have all lost their
 * connections. Never rejects.
 */
export async function endLeftCommands(
  parts: Pick<Services, 'docker' | 'logger' | 'store' | 'startedCommands'> & {
    readonly settings: Pick<HandlerSettings, 'localEngine'>;
  },
): Promise<void> {
  const { logger, startedCommands } = parts;
  await forEachLimited(startedCommands.left, CONCURRENT_KILLS, async (command) => {
    logger.debug(
      () => 'Ending a command of an earlier daemon',
      () => ({ container: command.containerId }),
    );
    await killCommand(parts, { ...command, forget: startedCommands.note(command) });
  });
}
