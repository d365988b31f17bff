import { execFile } from 'node:child_process';
import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';

/**
 * Tells systemd the state of this process; does nothing when NOTIFY_SOCKET is not set. It runs the systemd-notify command,
 * because Node has no datagram unix sockets.
 */
export async function notifySystemd(
  state: '--ready' | '--stopping',
  logger: Logger,
  env = process.env,
): Promise<void> {
  if (env.NOTIFY_SOCKET === undefined) return;
  await new Promise<void>((resolve) => {
    execFile('systemd-notify', [state, `--pid=${process.pid}`], { timeout: 5_000, env }, (error) => {
      if (error !== null) logger.warn('Cannot notify systemd', { state, error: messageOf(error) });
      resolve();
    });
  });
}
