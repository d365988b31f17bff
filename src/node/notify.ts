import { execFile } from 'node:child_process';
import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';

/**
 * Tells systemd a state; nothing where NOTIFY_SOCKET is not set. Through the systemd-notify command, because Node has no
 * datagram unix sockets. It speaks in the name of `--pid`, so that a unit without NotifyAccess=, such as cri-dockerd's, hears it
 * too. It is `STOPPING=1` because the option `--stopping` came with systemd 253, after Debian 12.
 */
export async function notifySystemd(
  state: '--ready' | 'STOPPING=1' | 'WATCHDOG=1',
  logger: Logger,
  env = process.env,
): Promise<void> {
  if (env.NOTIFY_SOCKET === undefined) return;
  await new Promise<void>((resolve) => {
    execFile('systemd-notify', [state, `--pid=${process.pid}`], { timeout: 5_000, env }, (error) => {
      if (error !== null) logger.warn('systemd could not be notified', { state, error: messageOf(error) });
      resolve();
    });
  });
}
