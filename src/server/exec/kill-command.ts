import { hasStatus } from '../../docker/errors';
import { withDeadline } from '../../lib/deadline';
import { messageOf } from '../../lib/errors';
import { isInContainer, killProcessTree } from '../../lib/process-tree';
import type { Services } from '../services';

/** For the Engine call that follows an end nobody waits for but us. */
const INSPECT_MS = 5_000;

/** Ends an exec with all its processes: the Engine has no call that would. Never rejects. */
export async function killCommand(
  { docker, settings, logger }: Pick<Services, 'docker' | 'logger' | 'settings'>,
  containerId: string,
  execId: string,
): Promise<void> {
  if (!settings.localEngine) {
    logger.warn('An abandoned command runs on: the Engine is remote and has no call to end it', {
      containerId,
    });
    return;
  }
  try {
    const { Running, Pid } = await withDeadline('exec inspect', INSPECT_MS, undefined, (signal) =>
      docker.inspectExec(execId, { signal }),
    );
    if (!Running || Pid === 0) return;
    const gone = await killProcessTree(Pid, (pid) => isInContainer(pid, containerId));
    if (!gone) logger.warn('Processes of an abandoned command survive SIGKILL', { containerId, pid: Pid });
  } catch (error) {
    if (hasStatus(error, 404)) return;
    logger.warn('An abandoned command could not be killed', { containerId, error: messageOf(error) });
  }
}
