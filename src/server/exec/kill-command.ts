import { hasStatus } from '../../docker/errors';
import { forEachLimited } from '../../lib/async/concurrency';
import { pause } from '../../lib/async/pause';
import { messageOf } from '../../lib/errors';
import { cgroupMembers, isInContainer } from '../../node/cgroup/members';
import { hasUnreapedChildren, killProcessTree } from '../../node/process/process-tree';
import type { HandlerSettings, Services } from '../services';
import type { StartedCommand } from './started-commands';

/** How long the Engine may take to start a command that nobody waits for any more, or to tell of it at all. */
const PATIENCE_MS = 600_000;
/** How long the caller waits for the kill; it goes on after that. */
const ANSWER_MS = 2_000;
const POLL_MS = [20, 50, 100, 250, 1_000, 5_000];

type Parts = Pick<Services, 'docker' | 'logger' | 'store'> & {
  readonly settings: Pick<HandlerSettings, 'localEngine'>;
};

/** A command that was told to start and is remembered until it has ended. */
export interface AbandonedCommand extends StartedCommand {
  readonly forget: () => void;
}

/**
 * Ends an exec that was told to start, with all its processes: the Engine has no call that would, and goes on starting
 * one whose caller has hung up. Resolves when they are gone, after 2 s at the latest; never rejects. The command is
 * forgotten when it is known to have ended; one that the Engine does not tell of is left to the next daemon.
 */
export async function killCommand(parts: Parts, command: AbandonedCommand): Promise<void> {
  if (!parts.settings.localEngine) {
    parts.logger.warn('An abandoned command runs on: the Engine is remote and has no call to end it', {
      containerId: command.containerId,
    });
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
      // The orphans of a killed parent become children of the container's first process. Where that does not reap, each
      // would keep a place below the container's pids limit.
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
    logger.warn('An abandoned command could not be killed', {
      container: containerId,
      error: messageOf(error),
    });
  }
}

/**
 * Asks until the Engine tells: one answer that fails must not leave a command running for ever.
 * @returns undefined when the command has ended.
 * @throws what the Engine answered last, when its time is over.
 */
async function runningPid({ docker }: Pick<Parts, 'docker'>, execId: string): Promise<number | undefined> {
  for (let attempt = 0, end = performance.now() + PATIENCE_MS; ; attempt++) {
    let failure: unknown = new Error('the Engine does not start it');
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
    // It keeps no process alive that has nothing else to do.
    await new Promise<void>((resolve) => void setTimeout(resolve, ms).unref());
  }
}

const CONCURRENT_KILLS = 4;

/**
 * Ends the commands of a daemon that was killed. Those of ExecSync and of people alike: whoever waited for one has lost
 * the connection with that daemon. Never rejects.
 */
export async function endLeftCommands(
  parts: Pick<Services, 'docker' | 'logger' | 'store' | 'startedCommands'> & {
    readonly settings: Pick<HandlerSettings, 'localEngine'>;
  },
): Promise<void> {
  const { logger, startedCommands } = parts;
  await forEachLimited(startedCommands.left, CONCURRENT_KILLS, async (command) => {
    logger.debug(() => `A command of a daemon before this one is ended in ${command.containerId}`);
    await killCommand(parts, { ...command, forget: startedCommands.note(command) });
  });
}
