import { readCalls } from './calls';
import { latencies } from './latency';
import { renderTape } from './render';
import { filtered, type CallFilter } from './shown-call';

export interface Shown {
  readonly text: string;
  /** What is wrong with the tape, a line each. */
  readonly problems: readonly string[];
}

/** Further ones are only counted. */
const TOLD_PROBLEMS = 10;

/**
 * What `dockbridge cri show` says of a tape.
 * @throws an error that names the file when it is not a tape, or cannot be read.
 */
export async function showTape(file: string, filter: CallFilter, output: 'text' | 'json'): Promise<Shown> {
  const tape = await readCalls(file);
  const calls = filtered(tape.calls, filter);
  const { head, lost } = tape;
  return {
    text:
      output === 'text'
        ? renderTape(tape, calls)
        : `${jsonOf({ head, lost, problems: tape.problems, calls, methods: latencies(calls) })}\n`,
    problems: toldProblems(
      file,
      lost,
      tape.problems.map(({ line, why }) => `line ${line} ${why}`),
    ),
  };
}

/** What a person is told of a tape that is not whole; nothing if it is. */
export function toldProblems(file: string, lost: number, problems: readonly string[]): readonly string[] {
  const more = problems.length - TOLD_PROBLEMS;
  return [
    ...(lost > 0 ? [`${file}: ${lost} lines are missing, because the recording lost them`] : []),
    ...problems.slice(0, TOLD_PROBLEMS).map((problem) => `${file}: ${problem}`),
    ...(more > 0 ? [`${file}: ${more} more lines like these`] : []),
  ];
}

/** JSON leaves the control characters beyond ASCII as they are, and some terminals obey those too. */
function jsonOf(value: object): string {
  return JSON.stringify(value, null, 2).replace(
    /[\x7f-\x9f]/g,
    (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
