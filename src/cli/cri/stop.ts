import { cancelled } from '../../lib/errors';
import { nextEndSignal } from '../end-process';

/**
 * Returns an abort signal that fires when SIGINT, SIGTERM, SIGQUIT or SIGHUP arrives. The command then removes what it created.
 * @param say prints the message about this.
 */
export function stoppedBySignal(say: (text: string) => void): AbortSignal {
  const controller = new AbortController();
  // When a terminal is closed, the shell and the kernel both send SIGHUP, and every later write to the terminal fails.
  process.on('SIGHUP', () => undefined);
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  void nextEndSignal(['SIGHUP']).then((signal) => {
    say(`${signal}: removing everything that was created; a second signal ends this at once`);
    controller.abort(cancelled(`ended by ${signal}`));
  });
  return controller.signal;
}
