import { hasStatus } from '../../docker/errors';
import { forEachLimited } from '../../lib/concurrency';
import { messageOf } from '../../lib/errors';
import type { HandlerSettings, Services } from '../services';
import { killCommand } from './kill-command';

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
  const { docker, logger, startedCommands } = parts;
  await forEachLimited(startedCommands.left, CONCURRENT_KILLS, async (command) => {
    const { containerId, execId } = command;
    try {
      if ((await docker.inspectExec(execId)).Running) {
        logger.info('A command of a daemon before this one is ended', { container: containerId });
        await killCommand(parts, containerId, execId);
      }
    } catch (error) {
      if (!hasStatus(error, 404))
        logger.warn('A command of a daemon before this one cannot be looked at', {
          container: containerId,
          error: messageOf(error),
        });
    }
    startedCommands.note(command)();
  });
}
