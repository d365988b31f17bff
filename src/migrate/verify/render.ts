import { printable } from '../../harness/printable';
import { count } from '../inventory/finding-of';
import { evidenceLines, findingLines, wrapped } from '../inventory/render/text';
import type { ExpectedDifference, VerifiedSide, VerifyReport } from './report';

/** Renders the comparison for a person at a terminal: the result, the unexpected differences, then the expected ones. */
export function renderText(report: VerifyReport): string {
  const { a, b, findings, expected } = report;
  const sections = [
    [side('A', a), side('B', b), '', ...wrapped(verdict(report), '', '')],
    ...findings.map(findingLines),
    ...(expected.length === 0
      ? []
      : [[`EXPECTED: ${count(expected.length, 'known difference')} between these runtimes`]]),
    ...expected.map(expectedLines),
    wrapped(next(report), '', ''),
  ];
  return sections.map((lines) => lines.map((line) => `${printable(line)}\n`).join('')).join('\n');
}

export function renderJson(report: VerifyReport): string {
  return `${JSON.stringify(report, null, 2)}\n`;
}

function side(name: string, { runtime, version, endpoint }: VerifiedSide): string {
  return `${name}: ${runtime} ${version} at ${endpoint}`;
}

function verdict({ findings, expected, summary, containers }: VerifyReport): string {
  const { block, change, review, equal } = summary;
  const counts = `(${block} block, ${change} change, ${review} review)`;
  const seen =
    containers === 0
      ? 'No pods were created, because B is not ready for pods.'
      : `${count(equal, 'property', 'properties')} of ${count(containers, 'container')} are equal.`;
  if (findings.length === 0)
    return `Pods find the same on A and B${expected.length === 0 ? '' : ', apart from the expected differences below'}. ${seen}`;
  return `A and B differ in ${count(findings.length, 'way')} that nobody expects ${counts}. ${seen}`;
}

function next({ findings, expected }: VerifyReport): string {
  const read = expected.length === 0 ? '' : 'read the expected differences, and ';
  return findings.length === 0
    ? `Next: ${read}move the node.`
    : 'Next: resolve the differences, then run the command again. docs/migrating.md has a section for each, under its name.';
}

function expectedLines({ because, advice, evidence }: ExpectedDifference): string[] {
  return [
    ...wrapped(because, '  ', '    '),
    ...evidenceLines(evidence),
    ...(advice === '' ? [] : wrapped(advice, '  → ', '    ')),
  ];
}
