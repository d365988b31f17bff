import { invalidArgument } from '../../lib/errors';
import { nonEmpty, withoutNul } from '../../translate/shared/validate';

/** The request's command, for a program that has a name and words that a system call can take. */
export function commandWords(cmd: readonly string[]): readonly string[] {
  const [program] = cmd;
  if (program === undefined) throw invalidArgument('cmd', 'is required');
  nonEmpty(program, 'cmd[0]');
  return cmd.map((word, index) => withoutNul(word, `cmd[${index}]`));
}
