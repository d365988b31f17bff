import { readCalls } from './calls';
import { latencies } from './latency';
import { renderTape } from './render';
import { filtered, type CallFilter } from './shown-call';
import { lostLines } from '../tape/lost-lines';
import { counted } from '../../lib/counted';

export interface Shown {
  readonly text: string;
  /** What is wrong with the tape, one line each. */
  readonly problems: readonly string[];
}

/** How many problems are reported one by one. Further problems are only counted. */
const TOLD_PROBLEMS = 10;

/**
 * Returns the output of `dockbridge cri show` for a tape.
 * @throws an error that names the file if it is not a tape or cannot be read.
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

/** Returns the messages about an incomplete tape; none if the tape is complete. */
export function toldProblems(file: string, lost: number, problems: readonly string[]): readonly string[] {
  const more = problems.length - TOLD_PROBLEMS;
  return [
    ...(lost > 0 ? [`${file}: ${lostLines(lost)}`] : []),
    ...problems.slice(0, TOLD_PROBLEMS).map((problem) => `${file}: ${problem}`),
    ...(more > 0 ? [`${file}: ${counted(more, 'more line')} like these`] : []),
  ];
}

/** Escapes the control characters from U+007F to U+009F. JSON.stringify does not, and some terminals obey them. */
function jsonOf(value: object): string {
  return JSON.stringify(value, null, 2).replace(
    /[\x7f-\x9f]/g,
    (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
