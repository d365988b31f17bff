import { eventsBy, paired, type SeenEvent } from '../../../src/harness/compare/events';
import { Identities } from '../../../src/harness/compare/identities';
import type { ObservedCall } from '../../../src/harness/observation';

const watch = (n: number, types: readonly string[]): ObservedCall => ({
  ...{ n, t: n, ms: 1, method: 'GetContainerEvents', request: {}, status: 'CANCELLED' },
  messages: types.map((type) => ({ container_id: 'c', container_event_type: type, created_at: `1${type}` })),
});
const typesOf = (...watches: ObservedCall[]): string[] =>
  [...eventsBy(watches, new Identities([])).values()].flatMap(({ events }) => events.map(({ type }) => type));
const seen = (types: string): SeenEvent[] =>
  Array.from(types, (type) => ({ call: watch(1, []), type, message: {} }));
const beside = (a: readonly SeenEvent[], b: readonly SeenEvent[]): string =>
  paired(a, b)
    .map(({ a: one, b: other }) => `${one?.type ?? '-'}${other?.type ?? '-'}`)
    .join(' ');

describe('events of several watches', () => {
  it('count once if each watcher saw them once', () => {
    expect(typesOf(watch(1, ['A', 'B']), watch(2, ['B', 'C']))).toEqual(['A', 'B', 'C']);
  });

  it('count twice if one watcher saw them twice', () => {
    expect(typesOf(watch(1, ['A', 'A', 'B']))).toEqual(['A', 'A', 'B']);
    expect(typesOf(watch(1, ['A', 'B']), watch(2, ['A', 'B', 'B']), watch(3, ['B', 'B']))).toEqual([
      ...['A', 'B', 'B'],
    ]);
  });
});

describe('pairs of events', () => {
  it.each([
    ['', '', ''],
    ['ABC', 'ABC', 'AA BB CC'],
    ['ABC', 'AC', 'AA B- CC'],
    ['AC', 'ABC', 'AA -B CC'],
    ['AXBC', 'AYBC', 'AA X- -Y BB CC'],
    ['AAA', 'AA', 'AA AA A-'],
    ['ABAB', 'BABA', 'A- BB AA BB -A'],
    ['AB', '', 'A- B-'],
  ])('of %j and %j are %j', (a, b, pairs) => {
    expect(beside(seen(a), seen(b))).toBe(pairs);
  });

  it('of very long sequences are made without a table: between the equal ends, only by their order', () => {
    const [begin, end] = ['S'.repeat(20_000), 'E'.repeat(20_000)];
    const middle = (one: string, other: string): string => (one + other).repeat(2000);
    const pairs = paired(
      seen(`${begin}${middle('A', 'B')}${end}`),
      seen(`${begin}${middle('X', 'Y')}Z${end}`),
    );
    expect(pairs.filter(({ a, b }) => a?.type === b?.type).length).toBe(40_000);
    expect(pairs.filter(({ a }) => a === undefined)).toHaveLength(4001);
    expect(pairs.filter(({ b }) => b === undefined)).toHaveLength(4000);
    const many = seen('AB'.repeat(30_000));
    expect(paired(many, many.slice(1))).toHaveLength(60_000);
    expect(paired(many, seen(`${'BA'.repeat(29_999)}C`))).toHaveLength(119_999);
  });
});
