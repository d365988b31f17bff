import type { NodeFacts } from '../facts';
import type { Evidence, Finding, Severity } from '../finding';

export type { Evidence, Finding, Severity };

/** A theme of the inventory: what it makes of the facts. */
export type Theme = (facts: NodeFacts, choices: Choices) => readonly Finding[];

/** What the owner of the node has decided. */
export interface Choices {
  /** Docker stays on the node, next to the new runtime, for containers that belong to no pod. */
  readonly keepDocker: boolean;
}

/** @param id the heading in docs/migrating.md, too. */
export function finding(
  severity: Severity,
  id: string,
  summary: string,
  advice = '',
  evidence: readonly Evidence[] = [],
): Finding {
  return { id, severity, summary, evidence, advice, link: `docs/migrating.md#${id}` };
}

export const engineSays = (what: string): Evidence => ({ where: 'engine', what });

/**
 * Returns the lines of a file that match, with their places. A file that does not exist has none.
 * @param shows the whole line, or only what matches, for a line that is long and has other things.
 */
export function linesIn(
  { files }: Pick<NodeFacts, 'files'>,
  path: string,
  pattern: RegExp,
  shows: 'line' | 'match' = 'line',
): Evidence[] {
  const lines = (files[path]?.text ?? '').split('\n');
  return lines.flatMap((line, at) => {
    const match = /^\s*[#;]/.test(line) ? null : pattern.exec(line);
    if (match === null) return [];
    return [{ where: `${path}:${at + 1}`, what: shortened(shows === 'match' ? match[0] : line.trim()) }];
  });
}

const MAX = 160;

export function shortened(text: string): string {
  return text.length > MAX ? `${text.slice(0, MAX)}…` : text;
}

/** `1 pod`, `2 pods`. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}

/** Returns the text of several, as in a sentence: `a`, `a and b`, `a, b and c`. */
export function listed(items: readonly string[]): string {
  if (items.length < 2) return items.join('');
  return `${items.slice(0, -1).join(', ')} and ${items.at(-1) ?? ''}`;
}
