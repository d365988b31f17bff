import type { PageCall, PageRun } from '../src/harness/html/page-data';
import { filtered } from '../src/harness/show/shown-call';
import type { Payload } from './payload';

/** The filters that the user has entered. An empty text selects all calls. */
export interface Choice {
  readonly search: string;
  readonly method: string;
  readonly pod: string;
  /** The shortest duration, in milliseconds. */
  readonly slow: string;
  readonly failed: boolean;
}

/** Returns the calls that pass all filters. */
export function chosen({ calls }: PageRun, payload: Payload, choice: Choice): readonly PageCall[] {
  const { search, failed } = choice;
  const slow = Number.parseFloat(choice.slow);
  const fitting = filtered(calls, {
    method: patternOf(
      choice.method,
      calls.map(({ method }) => method),
    ),
    pod: patternOf(
      choice.pod,
      calls.flatMap(({ pod }) => pod ?? []),
    ),
    slowMs: Number.isFinite(slow) && slow > 0 ? slow : undefined,
    failed,
  });
  if (search.trim() === '') return fitting;
  const sought = search.trim().toLowerCase();
  const lines = payload.find(search.trim());
  return fitting.filter(
    (call) => textOf(call).includes(sought) || call.lines.some((number) => lines.has(number)),
  );
}

/** Returns a pattern as for `cri show`. A text that is neither a pattern nor a complete name matches every name that contains it. */
function patternOf(typed: string, names: readonly string[]): string | undefined {
  const text = typed.trim();
  if (text === '') return undefined;
  return /[*?]/.test(text) || names.includes(text) ? text : `*${text}*`;
}

function textOf({ method, pod, container, status, by, details, faults }: PageCall): string {
  return [method, pod, container, status, by, details, ...faults].join('\n').toLowerCase();
}
