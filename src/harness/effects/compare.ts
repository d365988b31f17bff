import type { EffectValue, SeenRuntime } from './effect';
import { judgesOf, type Explanation, type Judge } from './explanation';

export type Verdict = 'same' | 'explained' | 'differs';

/** An effect in which the runtimes are different, or the same, in one or more containers. */
export interface EffectRow {
  readonly effect: string;
  /**
   * Undefined where a side has nothing, and in rows of what is the same, whose values may differ between containers. Of sets, only
   * those members stand here that the other side does not have.
   */
  readonly a: string | undefined;
  readonly b: string | undefined;
  readonly verdict: Verdict;
  readonly explanation?: Explanation;
  /** `pod/container` of the scenario. */
  readonly containers: readonly string[];
}

export interface EffectComparison {
  readonly a: Omit<SeenRuntime, 'containers'>;
  readonly b: Omit<SeenRuntime, 'containers'>;
  /** Differences first, then what is explained; equal rows of several containers are one. */
  readonly rows: readonly EffectRow[];
  /** Effects of all containers by what came of them: a container counts each of its own. */
  readonly counts: Readonly<Record<Verdict, number>>;
  /** All containers of the scenario. */
  readonly containers: readonly string[];
}

/** Compares what the containers of one scenario got on two runtimes. */
export function compareEffects(
  a: SeenRuntime,
  b: SeenRuntime,
  explanations: readonly Explanation[],
): EffectComparison {
  const judges = explanations.flatMap((explanation) => judgesOf(explanation, a.runtime, b.runtime));
  const containers = [...new Set([...a.containers, ...b.containers].map(({ container }) => container))];
  const rows = new Map<string, EffectRow>();
  const counts = { same: 0, explained: 0, differs: 0 };
  for (const container of containers) {
    const [seenA, seenB] = [a, b].map(
      (side) =>
        side.containers.find((one) => one.container === container)?.effects ?? new Map<string, EffectValue>(),
    ) as [ReadonlyMap<string, EffectValue>, ReadonlyMap<string, EffectValue>];
    for (const effect of new Set([...seenA.keys(), ...seenB.keys()])) {
      for (const row of judged(container, effect, [seenA.get(effect), seenB.get(effect)], judges)) {
        counts[row.verdict]++;
        merge(rows, row);
      }
    }
  }
  return { a: told(a), b: told(b), rows: sorted([...rows.values()]), counts, containers };
}

type Pair = readonly [EffectValue | undefined, EffectValue | undefined];

function judged(container: string, effect: string, [a, b]: Pair, judges: readonly Judge[]): EffectRow[] {
  const row = { effect, containers: [container] };
  if (isSet(a) || isSet(b)) return judgedSet(container, effect, [listOf(a), listOf(b)], judges);
  if (a === b) return [{ ...row, a: undefined, b: undefined, verdict: 'same' }];
  const found = judges.find(
    (judge) => judge.isFor(container, effect) && judge.covers('a', a) && judge.covers('b', b),
  );
  if (found === undefined) return [{ ...row, a, b, verdict: 'differs' }];
  return [{ ...row, a, b, verdict: 'explained', explanation: found.explanation }];
}

/** Each explanation takes those members that it covers; what no one takes differs. */
function judgedSet(
  container: string,
  effect: string,
  [a, b]: readonly [readonly string[], readonly string[]],
  judges: readonly Judge[],
): EffectRow[] {
  const row = { effect, containers: [container] };
  let left = {
    a: a.filter((member) => !b.includes(member)),
    b: b.filter((member) => !a.includes(member)),
  };
  if (left.a.length + left.b.length === 0) return [{ ...row, a: undefined, b: undefined, verdict: 'same' }];
  const rows: EffectRow[] = [];
  for (const judge of judges.filter((one) => one.isFor(container, effect))) {
    const taken = judge.takes(left);
    if (taken.a.length + taken.b.length === 0) continue;
    const { explanation } = judge;
    rows.push({ ...row, a: joined(taken.a), b: joined(taken.b), verdict: 'explained', explanation });
    left = {
      a: left.a.filter((member) => !taken.a.includes(member)),
      b: left.b.filter((member) => !taken.b.includes(member)),
    };
  }
  if (left.a.length + left.b.length > 0)
    rows.push({ ...row, a: joined(left.a), b: joined(left.b), verdict: 'differs' });
  return rows;
}

function isSet(value: EffectValue | undefined): value is readonly string[] {
  return typeof value === 'object';
}

function listOf(value: EffectValue | undefined): readonly string[] {
  if (value === undefined) return [];
  return typeof value === 'string' ? [value] : value;
}

function joined(members: readonly string[]): string | undefined {
  return members.length === 0 ? undefined : [...members].sort().join(', ');
}

function merge(rows: Map<string, EffectRow>, row: EffectRow): void {
  // What is the same needs no value in common: it is listed once.
  const values =
    row.verdict === 'same' ? [] : [row.a ?? null, row.b ?? null, row.explanation?.because ?? null];
  const key = JSON.stringify([row.effect, row.verdict, ...values]);
  const known = rows.get(key);
  rows.set(
    key,
    known === undefined ? row : { ...known, containers: [...known.containers, ...row.containers] },
  );
}

const ORDER: readonly Verdict[] = ['differs', 'explained', 'same'];

function sorted(rows: readonly EffectRow[]): EffectRow[] {
  return [...rows].sort(
    (one, other) =>
      ORDER.indexOf(one.verdict) - ORDER.indexOf(other.verdict) ||
      (one.effect < other.effect ? -1 : one.effect > other.effect ? 1 : 0),
  );
}

function told({ source, runtime }: SeenRuntime): Omit<SeenRuntime, 'containers'> {
  return { source, runtime };
}
