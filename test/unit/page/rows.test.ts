import { endOf, rowsOf } from '../../../page/rows';
import type { PageCall, PageRun } from '../../../src/harness/html/page-data';

function call(n: number, t: number, ms: number | undefined, of: Partial<PageCall> = {}): PageCall {
  return {
    ...{ n, t, ms, method: 'Status', status: 'OK', messages: 0, faults: [], lines: [] },
    ...{ api: 'v1', pod: undefined, container: undefined, by: undefined, details: undefined },
    deadline_ms: undefined,
    ...of,
  };
}
const run = (calls: readonly PageCall[], rest: Partial<PageRun> = {}): PageRun => ({
  ...{ source: 'a', runtime: { name: '', version: '' }, end: 10, lost: 0, problems: [] },
  ...{ calls, states: [], events: [] },
  ...rest,
});
const WEB = { pod: 'default/web' };

it('rows put a sandbox first in its pod, then its containers, and sort calls about no pod by method', () => {
  const calls = [
    call(1, 0, 5, { method: 'Version' }),
    call(2, 1, 5, { ...WEB, container: 'main' }),
    call(3, 2, 5, WEB),
    call(4, 3, 5, { ...WEB, container: 'sandbox' }),
    call(5, 4, 5),
  ];
  const rows = rowsOf(run(calls), calls);
  expect(
    rows.map(({ label, isHeading, lanes }) => [label, isHeading, lanes.flat().map(({ n }) => n)]),
  ).toEqual([
    ['default/web', true, []],
    ['(sandbox)', false, [3]],
    ['main', false, [2]],
    ['sandbox', false, [4]],
    ['The whole node', true, []],
    ['Version', false, [1]],
    ['Status', false, [5]],
  ]);
  for (const [at, row] of rows.slice(1).entries()) expect(row.top).toBe(rows[at]!.top + rows[at]!.height);
});

it('rows put overlapping calls into different lanes', () => {
  const calls = [call(1, 0, 2000), call(2, 1, 500), call(3, 1.2, 100), call(4, 1.6, 100), call(5, 2, 1)];
  const [, row] = rowsOf(run(calls), calls);
  expect(row!.lanes.map((lane) => lane.map(({ n }) => n))).toEqual([[1, 5], [2, 4], [3]]);
});

it('an open call lasts until the end of the run', () => {
  const open = call(1, 4, undefined, { status: 'open' });
  expect(endOf(open, 10)).toBe(10);
  expect(endOf(call(2, 4, 500), 10)).toBe(4.5);
  const calls = [open, call(2, 9, 1)];
  expect(rowsOf(run(calls), calls)[1]!.lanes).toHaveLength(2);
});

it('states and events are shown next to their container', () => {
  const calls = [call(1, 0, 5, WEB)];
  const change = { t: 1, n: 1, id: 'c', of: 'container', state: 'running', by: 'answer' } as const;
  const event = { t: 1, n: 2, id: 'c', type: 'started' } as const;
  const rows = rowsOf(
    run(calls, {
      states: [
        { ...change, ...WEB, container: 'main' },
        { ...change, id: 'p', of: 'sandbox', ...WEB },
        { ...change, pod: 'default/hidden', container: 'main' },
        { ...change, id: 'nobody' },
      ],
      events: [{ ...event, ...WEB, container: 'main' }],
    }),
    calls,
  );
  expect(rows.map(({ label, states, events }) => [label, states.map(({ id }) => id), events.length])).toEqual(
    [
      ['default/web', [], 0],
      ['(sandbox)', ['p'], 0],
      ['main', ['c'], 1],
    ],
  );
});
