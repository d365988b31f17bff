import { compare } from '../../../src/harness/compare/compare';
import type { Comparison } from '../../../src/harness/compare/comparison';
import { rulesFor } from '../../../src/harness/compare/rules';
import type { Observation, ObservedCall } from '../../../src/harness/observation';

const UNREAD = { '@unread': 'it is compressed', length: 7, bytes: 'AAAAAAAAAA==' };
type Call = Partial<ObservedCall> & Pick<ObservedCall, 'method'>;

const seen = (calls: readonly Call[]): Observation => ({
  source: 'x',
  runtime: { name: 'x', version: '1' },
  calls: calls.map((call, at) => ({ n: at + 1, t: at, ms: 1, request: {}, status: 'OK', ...call })),
});
const compared = (a: readonly Call[], b: readonly Call[]): Comparison =>
  compare(seen(a), seen(b), rulesFor({ name: 'x', version: '1' }, { name: 'x', version: '1' }));
const found = (a: readonly Call[], b: readonly Call[]): string[] =>
  compared(a, b).calls.flatMap(({ differences }) => differences.map(({ path, why }) => `${path}: ${why}`));

const stop = (response?: ObservedCall['response']): Call => ({
  ...{ method: 'StopContainer', request: { container_id: 'c' } },
  ...(response === undefined ? {} : { response }),
});
const status = (response?: ObservedCall['response']): Call => ({
  ...{ method: 'Status', ...(response === undefined ? {} : { response }) },
});

it('an unreadable message differs from an empty one, and from another unreadable one', () => {
  expect(found([stop({})], [stop(UNREAD)])).toEqual(['StopContainer.@unknown: B could not be read']);
  for (const other of [{ length: 8 }, { '@unread': 'it is short' }, { bytes: 'AAAAAAAAAAE=' }])
    expect(found([stop(UNREAD)], [stop({ ...UNREAD, ...other })])).toEqual([
      'StopContainer.@unknown: A and B could not be read',
    ]);
  expect(found([stop(UNREAD)], [stop(UNREAD)])).toEqual([]);
});

it('bytes that a tape hides or lacks are counted and not compared', () => {
  const hidden = { ...UNREAD, bytes: 'hidden:0123456789abcdef' };
  const { bytes: _, ...without } = UNREAD;
  expect(compared([stop(hidden)], [stop(without)])).toMatchObject({ differences: 0, hidden: 1 });
  expect(found([stop(hidden)], [stop({ ...hidden, length: 9 })])).toHaveLength(1);
});

it('an unreadable or missing answer to one of several polls is a difference', () => {
  const ready = { status: { conditions: [{ type: 'RuntimeReady', status: true }] } };
  const a = [status(ready), status(ready)];
  expect(found(a, [status(ready), status(UNREAD), status(ready)])).toEqual([
    'Status.@unknown: B has an answer that could not be read',
  ]);
  expect(found(a, [status(), status(ready)])).toEqual(['Status.@unknown: B has no answer']);
});

it('an unreadable list does not make its items disappear', () => {
  const list = (response: ObservedCall['response']): Call => ({
    method: 'ListPodSandbox',
    response: response!,
  });
  const items = { items: [{ id: 'p', metadata: { name: 'web', namespace: 'default' } }] };
  expect(found([list(items)], [list(items), list(UNREAD), list(items)])).toEqual([
    'ListPodSandbox.@unknown: B has an answer that could not be read',
  ]);
});

it('an answer that only one side has is a difference', () => {
  expect(found([stop({})], [stop()])).toEqual(['StopContainer.@unknown: only A has an answer']);
  expect(found([stop()], [stop()])).toEqual([]);
});
