import type { ComparedCall, Comparison, Difference } from '../compare/comparison';
import { idleRules, shownValue, sideText, sumOf, titleOf } from './phrases';
import { printable } from '../printable';
import { counted } from '../../lib/counted';

/** Returns the report as text. The differences come first, and the totals come last. */
export function renderText(comparison: Comparison): string {
  const { a, b, calls } = comparison;
  const differing = calls.filter(({ differences }) => differences.length > 0);
  const noted = calls.filter(({ notes }) => notes.length > 0);
  const sections = [
    [`A: ${sideText(a)}, ${counted(a.calls, 'call')}`, `B: ${sideText(b)}, ${counted(b.calls, 'call')}`],
    ...differing.map(callLines),
    section('Allowed', allowedLines(calls)),
    section('Notes', [
      ...new Set(noted.flatMap((call) => call.notes.map((note) => `${titleOf(call)}: ${note}`))),
    ]),
    section('Rules that were not needed', idleRules(comparison)),
    [sumOf(comparison)],
  ];
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.map((line) => `${printable(line)}\n`).join(''))
    .join('\n');
}

function callLines(call: ComparedCall): readonly string[] {
  const { a, b, differences } = call;
  const where = [
    ...(a === undefined ? [] : [`A: call ${a.n} at ${a.t.toFixed(3)} s${more(a.calls)}`]),
    ...(b === undefined ? [] : [`B: call ${b.n} at ${b.t.toFixed(3)} s${more(b.calls)}`]),
  ];
  return [`${titleOf(call)}  (${where.join(', ')})`, ...differences.flatMap(differenceLines)];
}

function more(calls: number): string {
  return calls === 1 ? '' : ` and ${calls - 1} more`;
}

function differenceLines({ path, a, b, why, near }: Difference): readonly string[] {
  return [
    `  ${path}: ${why}`,
    `    A ${shownValue(a)}`,
    `    B ${shownValue(b)}`,
    ...(near === undefined ? [] : [`    ${near.rule} ${near.why}`]),
  ];
}

/** Returns one line for all values that the same rule allows at the same path. */
function allowedLines(calls: readonly ComparedCall[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const { allowed } of calls)
    for (const { path, rule, because } of allowed) {
      const line = `${path}, by ${rule}: ${because}`;
      counts.set(line, (counts.get(line) ?? 0) + 1);
    }
  return [...counts].map(([line, count]) => (count === 1 ? line : `${count} × ${line}`));
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [`${title}:`, ...lines.map((line) => `  ${line}`)];
}
