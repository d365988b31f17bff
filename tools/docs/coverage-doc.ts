import { table } from './markdown';
import type { Coverage, Informative } from './fields/coverage';
import { COVERAGE } from './fields/table';

const HEAD = `# What happens to each request field

This page lists every field of the requests that create and change pods and containers: what it becomes in the Engine's create
call (names of the Engine API), or why dockbridge refuses it. A refusal is a gRPC error that names the field. No field is dropped
silently. If "Needs" is empty, Docker Engine 20.10 (API 1.41) is enough. Fields inside a refused field are left out, including
\`IDMapping\`.

\`make docs\` generates this page from the table in \`tools/docs/fields/\`. Tests compare the table with the CRI's own list of
fields, and set every field to see that it has the effect described here.
`;

/** Returns docs/cri-coverage.md in Prettier's format. */
export function renderCoverageDoc(): string {
  const sections = Object.entries(COVERAGE).map(([message, fields]) => {
    const rows = Object.entries(fields).map(([field, coverage]) => [`\`${field}\``, ...columns(coverage)]);
    return `## ${message}\n\n${table(['Field', 'What it becomes', 'Refused', 'Needs'], rows)}`;
  });
  return [HEAD, ...sections].join('\n');
}

function columns(coverage: Coverage): string[] {
  if ('refused' in coverage) return ['', coverage.refused, ''];
  if ('informs' in coverage) return [withoutEffect(coverage), '', ''];
  return [coverage.becomes, coverage.except ?? '', coverage.needs ?? ''];
}

function withoutEffect({ informs, but = {} }: Informative): string {
  const exceptions = Object.entries(but).map(([path, effect]) => `\`${path}\`: ${effect}`);
  return exceptions.length === 0
    ? `nothing: ${informs}`
    : `mostly nothing: ${informs}. Exceptions: ${exceptions.join('; ')}`;
}
