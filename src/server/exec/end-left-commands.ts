import { forEachLimited } from '../../lib/async/concurrency';
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
  const { logger, startedCommands } = parts;
  await forEachLimited(startedCommands.left, CONCURRENT_KILLS, async (command) => {
    logger.debug(() => `A command of a daemon before this one is ended in ${command.containerId}`);
    await killCommand(parts, { ...command, forget: startedCommands.note(command) });
  });
}
