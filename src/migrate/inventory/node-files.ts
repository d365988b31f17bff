import type { NodeFacts } from '../facts';
import { jsonMistake } from './json-mistake';
import { daemonJsonOf } from '../engine-settings';
import { count, finding, type Finding, type Theme } from './finding-of';

/** Files that the inventory could not use. */
export const nodeFiles: Theme = (facts) => [...daemonJson(facts), ...unreadable(facts), ...cut(facts)];

function daemonJson(facts: NodeFacts): readonly Finding[] {
  const path = daemonJsonOf(facts);
  const problem = jsonProblem(facts.files[path]?.text ?? '');
  if (problem === undefined) return [];
  return [
    finding(
      'block',
      'daemon-json-broken',
      "Docker's configuration is broken, so its settings cannot be carried over.",
      'Correct the file; `dockerd --validate --config-file FILE` checks it. A running Engine does not notice until its next start.',
      [{ where: `${path}:${problem.line}`, what: problem.what }],
    ),
  ];
}

/** Finds the mistake in a JSON object. An empty file is one that dockerd accepts. */
export function jsonProblem(text: string): { readonly line: number; readonly what: string } | undefined {
  if (text.trim() === '') return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return undefined;
    return { line: 1, what: 'is not a JSON object' };
  } catch {
    // At the end of the text, the last line with content is more helpful than an empty one.
    const before = text.slice(0, Math.min(jsonMistake(text), text.trimEnd().length));
    return { line: before.split('\n').length, what: 'is not valid JSON here' };
  }
}

function unreadable({ unreadable: paths }: NodeFacts): readonly Finding[] {
  if (paths.length === 0) return [];
  return [
    finding(
      'review',
      'unreadable',
      `${count(paths.length, 'file or directory', 'files or directories')} could not be read, so the inventory may be incomplete.`,
      'Run the inventory as root, and look at these places yourself.',
      paths.map(({ path, reason }) => ({ where: path, what: reason })),
    ),
  ];
}

function cut({ engine }: NodeFacts): readonly Finding[] {
  if (engine?.isCut !== true) return [];
  return [
    finding(
      'review',
      'unreadable',
      'The Engine has more containers than the inventory reads.',
      'Remove containers that have ended (`docker container prune`), and run the inventory again.',
    ),
  ];
}
