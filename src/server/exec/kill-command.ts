import { hasStatus } from '../../docker/errors';
import { cgroupMembers, isInContainer } from '../../lib/cgroup/members';
import { withDeadline } from '../../lib/deadline';
import { messageOf } from '../../lib/errors';
import { pause } from '../../lib/pause';
import { hasUnreapedChildren, killProcessTree } from '../../lib/process-tree';
import type { HandlerSettings, Services } from '../services';

/** How long a busy Engine may take to start a command that nobody waits for any more. */
const START_MS = 30_000;
/** How long the caller waits for the kill; it goes on after that. */
const ANSWER_MS = 2_000;
const POLL_MS = [20, 50, 100, 250];

type Parts = Pick<Services, 'docker' | 'logger' | 'store'> & {
  readonly settings: Pick<HandlerSettings, 'localEngine'>;
};

/**
 * Ends an exec that was told to start, with all its processes: the Engine has no call that would, and goes on starting
 * one whose caller has hung up. Resolves when they are gone, after 2 s at the latest; never rejects.
 */
export async function killCommand(parts: Parts, containerId: string, execId: string): Promise<void> {
  if (!parts.settings.localEngine) {
    parts.logger.warn('An abandoned command runs on: the Engine is remote and has no call to end it', {
      containerId,
    });
    return;
  }
  const killed = new AbortController();
  void kill(parts, containerId, execId).then(() => killed.abort());
  await pause(ANSWER_MS, killed.signal);
}

async function kill({ docker, logger, store }: Parts, containerId: string, execId: string): Promise<void> {
  try {
    const pid = await withDeadline('start of an abandoned command', START_MS, undefined, async (signal) => {
      for (let attempt = 0; ; attempt++) {
        const { Running, Pid, ExitCode } = await docker.inspectExec(execId, { signal });
        if (Running && Pid !== 0) return Pid;
        if (ExitCode !== null) return undefined;
        await pause(POLL_MS[Math.min(attempt, POLL_MS.length - 1)] ?? 250, signal);
        signal.throwIfAborted();
      }
    });
    if (pid === undefined) return;
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
    if (!gone) logger.warn('Processes of an abandoned command survive SIGKILL', { containerId, pid });
  } catch (error) {
    if (hasStatus(error, 404)) return;
    logger.warn('An abandoned command could not be killed', { containerId, error: messageOf(error) });
  }
}
