import { columns } from '../../lib/columns';
import { counted } from '../../lib/counted';
import type { EffectComparison, EffectRow } from './compare-effects';
import type { Explanation } from './explanation';
import { printable } from '../printable';

/** Longer values are cut off in the table. The JSON output contains them in full. */
const MAX_VALUE = 60;
const HEADING = ['EFFECT', 'A', 'B', 'VERDICT', 'IN'];

/** Returns the report as text: the table, the reasons, and the totals. @param all also shows effects that are equal. */
export function renderEffects(comparison: EffectComparison, all = false): string {
  const { a, b, rows, counts, containers } = comparison;
  const shown = rows.filter(({ verdict }) => all || verdict !== 'same');
  // Explanations with the same reason are listed once.
  const reasons = [
    ...new Map(
      shown.flatMap(({ explanation: one }) => (one === undefined ? [] : [[one.because, one]])),
    ).values(),
  ];
  const nameOf = ({ source, runtime }: EffectComparison['a']): string =>
    `${runtime.name} ${runtime.version} at ${source}`;
  return [
    printable(`A: ${nameOf(a)}`) + '\n' + printable(`B: ${nameOf(b)}`) + '\n',
    shown.length === 0
      ? ''
      : columns(
          [HEADING, ...shown.map((row) => cells(row, reasons, containers.length))].map((row) =>
            row.map(printable),
          ),
        ),
    reasons.map((reason, at) => paragraph(reason, at + 1)).join(''),
    `${counted(counts.differs, 'difference')}, ${counts.explained} explained, ` +
      `${counted(counts.same, 'equal effect')} in ${counted(containers.length, 'container')}\n`,
  ]
    .filter((part) => part !== '')
    .join('\n');
}

function cells(row: EffectRow, reasons: readonly Explanation[], all: number): string[] {
  const { effect, a, b, verdict, explanation, containers } = row;
  const number =
    explanation === undefined
      ? ''
      : ` [${reasons.findIndex(({ because }) => because === explanation.because) + 1}]`;
  const isSame = verdict === 'same';
  return [
    effect,
    isSame ? '' : value(a),
    isSame ? '' : value(b),
    `${verdict}${number}`,
    places(containers, all),
  ];
}

function places(containers: readonly string[], all: number): string {
  if (containers.length === all && all > 1) return `all ${all}`;
  const [first = ''] = containers;
  return containers.length <= 2 ? containers.join(', ') : `${first} and ${containers.length - 1} more`;
}

function value(text: string | undefined): string {
  if (text === undefined) return '-';
  if (text === '') return '(empty)';
  return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE)}…` : text;
}

function paragraph({ because, advice }: Explanation, number: number): string {
  return `[${number}] ${because}\n${advice === undefined ? '' : `    To do: ${advice}\n`}`;
}
