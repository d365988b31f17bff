import { waitAtMost } from '../lib/async/deadline';
import { messageOf } from '../lib/errors';
import { fail, warn, type Finding, type Line } from './report';
import type { Sources } from './sources';

/** Looks at one thing and changes nothing. */
export interface Check {
  /** Its name in the report, and the heading in docs/troubleshooting.md. */
  readonly id: string;
  readonly run: (sources: Sources) => Promise<readonly Finding[]>;
}

/**
 * Runs all checks side by side. A check that fails or hangs costs its own line alone.
 * @param limitMs how long one may take.
 */
export async function examine(
  checks: readonly Check[],
  sources: Sources,
  limitMs: number,
): Promise<readonly Line[]> {
  const outcomes = await Promise.all(
    checks.map(async ({ id, run }) => {
      const { value = [], finding } = await atMost(limitMs, run(sources));
      return [...value, ...(finding === undefined ? [] : [finding])].map((one) => toLine(id, one));
    }),
  );
  return outcomes.flat();
}

/** What work gives, or why it gave nothing. Never rejects. */
export async function atMost<T>(
  limitMs: number,
  work: Promise<T>,
): Promise<{ readonly value?: T; readonly finding?: Finding }> {
  const settled = work.then(
    (value) => ({ value }),
    (error: unknown) => ({ finding: notChecked(error) }),
  );
  return waitAtMost('A check', limitMs, settled).catch(() => ({ finding: tooLong(limitMs) }));
}

export function toLine(check: string, finding: Finding): Line {
  return { check, ...finding, link: `docs/troubleshooting.md#${check}` };
}

function tooLong(limitMs: number): Finding {
  return fail(
    `gave no answer within ${limitMs / 1000} s`,
    'A file system, a process or the Engine that it asks hangs: look for processes in state D, and for dead network disks.',
  );
}

function notChecked(error: unknown): Finding {
  return warn(`not checked: ${messageOf(error)}`, 'Mend that first, and run the doctor again.');
}
