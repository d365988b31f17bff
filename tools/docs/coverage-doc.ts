import { table } from './markdown';
import type { Coverage } from './fields/coverage';
import { COVERAGE } from './fields/table';

const HEAD = `# What becomes of each field of a pod

Every field of the requests that make and change pods and containers: what it becomes in the Engine's create call
(names of the Engine API), or why it is refused. A refusal is a gRPC error that names the field; nothing is dropped
silently. Where nothing is said under "Needs", Docker Engine 20.10 (API 1.41) will do. What a refused field holds is
left out, and \`IDMapping\` with it.

This page is made from the table in \`tools/docs/fields/\` and kept equal to it by a test; tests also compare the
table with the CRI's own list of fields, and set every field to see that it has the effect told here.
`;

/** docs/cri-coverage.md, as Prettier would format it. */
export function renderCoverageDoc(): string {
  const sections = Object.entries(COVERAGE).map(([message, fields]) => {
    const rows = Object.entries(fields).map(([field, coverage]) => [`\`${field}\``, ...columns(coverage)]);
    return `## ${message}\n\n${table(['Field', 'What it becomes', 'Refused', 'Needs'], rows)}`;
  });
  return [HEAD, ...sections].join('\n');
}

function columns(coverage: Coverage): string[] {
  if ('refused' in coverage) return ['', coverage.refused, ''];
  if ('informs' in coverage) return [`nothing: ${coverage.informs}`, '', ''];
  return [coverage.becomes, coverage.except ?? '', coverage.needs ?? ''];
}
