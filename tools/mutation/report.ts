import type { Verdict } from './judge';

const LONGEST = 100;

/** Returns the line for a surviving mutant: its place, the change, and how many test files did not notice. */
export function describe({ mutant, fate, filesRun }: Verdict): string {
  const { id, file, line, kind, original, replacement } = mutant;
  const why =
    fate === 'unreached' ? 'no unit test runs this function' : `${filesRun} test files did not notice`;
  return `  ${id} ${file}:${line} ${kind}: ${short(original)} → ${short(replacement)} (${why})`;
}

/** Returns the line with the share of killed mutants among all judged ones. */
export function scoreLine(room: string, verdicts: readonly Verdict[], equivalents: number): string {
  const count = (fate: Verdict['fate']): number => verdicts.filter((verdict) => verdict.fate === fate).length;
  const killed = count('killed') + count('timeout');
  const score = verdicts.length === 0 ? '–' : `${Math.floor((100 * killed) / verdicts.length)} %`;
  const seconds = Math.round(verdicts.reduce((sum, { ms }) => sum + ms, 0) / 1000);
  return (
    `${room.padEnd(12)} ${score.padStart(5)}  ${killed} of ${verdicts.length} noticed (${count('timeout')} by the time limit), ` +
    `${count('unreached')} reached by no test, ${equivalents} listed as equivalent; ${seconds} s`
  );
}

function short(text: string): string {
  const line = text.replace(/\s+/g, ' ');
  return line === '' ? 'nothing' : line.length > LONGEST ? `${line.slice(0, LONGEST)}…` : line;
}
