import { execFile } from 'node:child_process';
import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';

/**
 * Tells systemd the state of this process; does nothing when NOTIFY_SOCKET is not set. It runs the systemd-notify command,
 * because Node has no datagram unix sockets. The command speaks in the name of `--pid`, so that a unit without NotifyAccess=,
 * such as cri-dockerd's, hears it too. It is `STOPPING=1` because the option `--stopping` came with systemd 253, after Debian 12.
 * @returns whether systemd was told, or nobody wants to be.
 */
export async function notifySystemd(
  state: '--ready' | 'STOPPING=1' | 'WATCHDOG=1',
  logger: Logger,
  env = process.env,
): Promise<boolean> {
  if (env.NOTIFY_SOCKET === undefined) return true;
  return new Promise((resolve) => {
    execFile('systemd-notify', [state, `--pid=${process.pid}`], { timeout: 5_000, env }, (error) => {
      if (error !== null) logger.warn('Cannot notify systemd', { state, error: messageOf(error) });
      resolve(error === null);
    });
  });
}
