import { invalidArgument } from '../../lib/errors';
import type { Wanted } from '../../streaming/backend';

/** @throws INVALID_ARGUMENT: a terminal has one output, and a session without any stream no use. */
export function wantedStreams({ stdin, stdout, stderr, tty }: Wanted): Wanted {
  if (tty && stderr)
    throw invalidArgument('stderr', 'cannot be told from stdout on a tty; ask for one of both');
  if (!stdin && !stdout && !stderr)
    throw invalidArgument('stdin', 'one of stdin, stdout and stderr is required');
  return { stdin, stdout, stderr, tty };
}
