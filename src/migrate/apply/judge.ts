import type { Check } from '../plan/check';
import type { Outcome } from './runner';

/** Returns what is wrong with the result of a check; '' when it succeeded. */
export function judge({ result, pattern, note }: Check, { exitCode, problem, output }: Outcome): string {
  if (problem !== '') return problem;
  const printed = output.trim();
  const wanted = note === '' ? pattern : note;
  switch (result) {
    case 'prints':
      return new RegExp(`^(?:${pattern})$`).test(printed) ? '' : `expected: ${wanted}`;
    case 'silent':
      return exitOf(exitCode) || (printed === '' ? '' : 'expected no output');
    case 'lacks':
      return exitOf(exitCode) || (new RegExp(pattern).test(printed) ? `expected: ${wanted}` : '');
    case 'succeeds':
    case 'person':
      return exitOf(exitCode);
  }
}

function exitOf(code: number | undefined): string {
  return code === 0 ? '' : `exit code ${code ?? 'unknown'}`;
}
