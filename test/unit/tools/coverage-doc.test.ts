import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderCoverageDoc } from '../../../tools/docs/coverage-doc';
import { COVERAGE } from '../../../tools/docs/fields/table';
import { readTable } from '../proto/cri-table';

const FILE = join(__dirname, '../../../docs/cri-coverage.md');

/** The requests that create and change pods and containers. */
const ROOTS = [
  'RunPodSandboxRequest',
  'CreateContainerRequest',
  'UpdateContainerResourcesRequest',
  'UpdatePodSandboxResourcesRequest',
];

const fields = readTable().filter(({ kind }) => kind === 'field');
const messages = new Set(fields.map(({ parent }) => parent));

/**
 * `Message.field` of every field in a request, except those below a field that is refused or has no effect.
 */
function reachable(message: string, seen = new Set<string>()): Set<string> {
  for (const { name, type } of fields.filter(({ parent }) => parent === message)) {
    const path = `${message}.${name}`;
    if (seen.has(path)) continue;
    seen.add(path);
    const coverage = COVERAGE[message]?.[name];
    if (messages.has(type) && coverage !== undefined && 'becomes' in coverage) reachable(type, seen);
  }
  return seen;
}

describe('docs/cri-coverage.md', () => {
  const wanted = new Set(ROOTS.flatMap((root) => [...reachable(root)]));
  const told = Object.entries(COVERAGE).flatMap(([message, rows]) =>
    Object.keys(rows).map((field) => `${message}.${field}`),
  );

  it('is the table in tools/docs/fields (if it differs, run make docs)', () => {
    expect(readFileSync(FILE, 'utf8')).toBe(renderCoverageDoc());
  });

  it('contains every field of a request', () => {
    expect(wanted.size).toBeGreaterThan(100);
    expect([...wanted].filter((path) => !told.includes(path))).toEqual([]);
  });

  it('contains no field that CRI does not have', () => {
    const all = new Set(fields.map(({ parent, name }) => `${parent}.${name}`));
    expect(told.filter((path) => !all.has(path))).toEqual([]);
  });

  it('gives every refusal a reason', () => {
    const empty = Object.entries(COVERAGE).flatMap(([message, rows]) =>
      Object.entries(rows)
        .filter(([, coverage]) => Object.values(coverage).some((text) => text === ''))
        .map(([field]) => `${message}.${field}`),
    );
    expect(empty).toEqual([]);
  });
});
