import { printable } from '../../../harness/printable';
import type { Evidence, Finding } from '../../finding';
import { count } from '../finding-of';
import { nextStep, REPLACE, verdict, type InventoryReport } from '../report';

const WIDTH = 100;
/** How many places of one finding the text shows. JSON and the page have all. */
const MAX_EVIDENCE = 6;
const DOCUMENTS = 'docs/migrating.md has a section for each finding, under its name.';

/** Renders the inventory for a person at a terminal: the result, then each finding and what to do, the worst first. */
export function renderText(report: InventoryReport): string {
  const { node, summary, findings } = report;
  const { block, change, review, ok } = summary;
  const counts = `${block} block, ${change} change, ${review} review, ${ok} ok`;
  const open = findings.filter(({ severity }) => severity !== 'ok');
  const fine = findings.filter(({ severity }) => severity === 'ok');
  const head = [
    `Node ${node.hostname}: ${[node.engine, node.os, node.arch].filter((part) => part !== '').join(', ')}`,
    [
      `${count(node.pods, 'pod')} with ${count(node.containers, 'container')}`,
      count(node.foreign, 'other container'),
      count(node.images, 'image'),
    ].join(', '),
    '',
    ...wrapped(`${verdict(report)} (${counts})`, '', ''),
    ...wrapped(REPLACE, '', ''),
  ];
  return [
    head,
    ...open.map(findingLines),
    fine.length === 0 ? [] : fine.flatMap(line),
    [...wrapped(nextStep(report), '', ''), DOCUMENTS],
  ]
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.map((text) => `${printable(text)}\n`).join(''))
    .join('\n');
}

/** Returns a finding as lines that are not yet safe for a terminal. */
export function findingLines({ severity, id, summary, evidence, advice, link }: Finding): string[] {
  return [
    ...wrapped(summary, `${severity.toUpperCase().padEnd(6)} ${id}: `, '    '),
    ...evidenceLines(evidence),
    ...(advice === '' ? [] : wrapped(advice, '  → ', '    ')),
    ...(link.endsWith(`#${id}`) ? [] : [`    ${link}`]),
  ];
}

export function evidenceLines(evidence: readonly Evidence[]): string[] {
  const places = evidence.slice(0, MAX_EVIDENCE).map(({ where, what }) => cut(`    ${where}: ${what}`));
  const rest = evidence.length - places.length;
  return [...places, ...(rest > 0 ? [`    and ${rest} more (-o json shows all)`] : [])];
}

function line({ id, summary }: Finding): string[] {
  return wrapped(summary, `OK     ${id}: `, '    ');
}

function cut(text: string): string {
  return text.length > WIDTH ? `${text.slice(0, WIDTH - 1)}…` : text;
}

/** Breaks text between words. A word that is longer than a line stays whole, so that commands can be copied. */
export function wrapped(text: string, first: string, indent: string): string[] {
  const lines: string[] = [];
  let line = first;
  for (const word of text.split(' ')) {
    const isEmpty = line === first || line === indent;
    if (!isEmpty && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = indent;
    }
    const gap = line === first || line === indent ? '' : ' ';
    line = `${line}${gap}${word}`;
  }
  return [...lines, line];
}
