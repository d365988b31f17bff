/** How a check succeeds. */
export const RESULTS = ['succeeds', 'silent', 'prints', 'lacks', 'person'] as const;

/**
 * - `succeeds`: the exit code is 0.
 * - `silent`: the exit code is 0, and the command prints nothing.
 * - `prints`: the whole output matches the pattern, whatever the exit code: `systemctl is-active` fails for a unit that is inactive.
 * - `lacks`: the exit code is 0, and nothing in the output matches the pattern.
 * - `person`: only a person can judge the output.
 */
export type CheckResult = (typeof RESULTS)[number];

/** A command that shows whether a step succeeded. */
export interface Check {
  readonly command: string;
  readonly result: CheckResult;
  /** A regular expression for `prints` and `lacks`; '' otherwise. */
  readonly pattern: string;
  /** What a reader should see; '' when the exit code tells all. */
  readonly note: string;
  /** Where the command runs: on this node, or wherever kubectl reaches the cluster. */
  readonly place: 'node' | 'cluster';
  /** How long `apply` repeats a check that does not succeed yet, in seconds; 0 for no second try. */
  readonly withinSeconds: number;
}

type More = Partial<Pick<Check, 'note' | 'place' | 'withinSeconds'>>;

function check(command: string, result: CheckResult, pattern: string, more: More): Check {
  return { command, result, pattern, note: '', place: 'node', withinSeconds: 0, ...more };
}

/** Makes a check of the exit code. */
export function succeeds(command: string, more: More = {}): Check {
  return check(command, 'succeeds', '', more);
}

/** Makes a check of a command that must print nothing. */
export function silent(command: string, more: More = {}): Check {
  return check(command, 'silent', '', { note: 'prints nothing', ...more });
}

/** Makes a check of the whole output, without the blanks around it. */
export function prints(command: string, pattern: string, more: More = {}): Check {
  return check(command, 'prints', pattern, more);
}

/** Makes a check of the output, in which nothing must match the pattern. */
export function lacks(command: string, pattern: string, more: More = {}): Check {
  return check(command, 'lacks', pattern, more);
}

/** Makes a check that only a person can judge. */
export function forPerson(command: string, note = '', place: Check['place'] = 'node'): Check {
  return check(command, 'person', '', { note, place });
}

/** Returns the check for a reader: the command, with what to look for in a comment. */
export function checkLine({ command, note }: Check): string {
  return note === '' ? command : `${command}   # ${note}`;
}
