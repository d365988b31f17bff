/** A step did not do what the plan says. The message says what failed, with the end of the output. */
export class StepFailed extends Error {}

/** The user has ended the command. */
export class Interrupted extends Error {}

const SHOWN_LINES = 20;

/** Makes the error of a command. */
export function failureOf(what: string, command: string, why: string, output: string): StepFailed {
  const lines = output.trimEnd().split('\n');
  const shown = output.trim() === '' ? [] : lines.slice(-SHOWN_LINES).map((line) => `\n    ${line}`);
  return new StepFailed(`${what}: ${why}\n    $ ${command}${shown.join('')}`);
}
