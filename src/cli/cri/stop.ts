import { cancelled } from '../../lib/errors';
import { nextEndSignal } from '../end-process';
import { say } from './proxied';

/**
 * A signal that fires when the process is asked to end, or when its terminal is closed. The command then removes what it has made.
 * @param name of the command, which tells this.
 */
export function stoppedBySignal(name: string): AbortSignal {
  const controller = new AbortController();
  // The shell and the kernel both send SIGHUP when a terminal is closed, and nothing can be written to it any more.
  process.on('SIGHUP', () => undefined);
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  void nextEndSignal(['SIGHUP']).then((signal) => {
    say(name, `${signal}: what was made is removed; a second signal ends this at once`);
    controller.abort(cancelled(`ended by ${signal}`));
  });
  return controller.signal;
}
