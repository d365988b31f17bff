import type { EffectValue, SeenRuntime } from './effect';
import { judgesOf, type Explanation, type Judge } from './explanation';

export type Verdict = 'same' | 'explained' | 'differs';

/** The verdict on an effect, in one or more containers. */
export interface EffectRow {
  readonly effect: string;
  /**
   * The values. Undefined if the side has no value, and in rows with the verdict `same`, because equal values may still differ between
   * containers. For a set, only the members that the other side lacks.
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
  /** Differences come first, then explained rows, then equal ones. Equal rows of several containers are merged. */
  readonly rows: readonly EffectRow[];
  /** The number of effects for each verdict. An effect counts for each container, and a set also for each explanation of its members. */
  readonly counts: Readonly<Record<Verdict, number>>;
  /** All containers of the scenario. */
  readonly containers: readonly string[];
}

/** Compares what the containers of the scenario were given on two runtimes. */
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
    const isEqual = (effect: string): boolean => areEqual(seenA.get(effect), seenB.get(effect));
    for (const effect of new Set([...seenA.keys(), ...seenB.keys()])) {
      const meant = judges.filter((judge) => judge.isFor(container, effect, isEqual));
      for (const row of judged(container, effect, [seenA.get(effect), seenB.get(effect)], meant)) {
        counts[row.verdict]++;
        merge(rows, row);
      }
    }
  }
  return { a: told(a), b: told(b), rows: sorted([...rows.values()]), counts, containers };
}

type Pair = readonly [EffectValue | undefined, EffectValue | undefined];

/** @param judges those that apply to this effect of this container. */
function judged(container: string, effect: string, [a, b]: Pair, judges: readonly Judge[]): EffectRow[] {
  const row = { effect, containers: [container] };
  if (isSet(a) || isSet(b)) return judgedSet(container, effect, [listOf(a), listOf(b)], judges);
  if (a === b) return [{ ...row, a: undefined, b: undefined, verdict: 'same' }];
  const found = judges.find((judge) => judge.covers(a, b));
  if (found === undefined) return [{ ...row, a, b, verdict: 'differs' }];
  return [{ ...row, a, b, verdict: 'explained', explanation: found.explanation }];
}

/** Compares two sets. Each explanation takes the members that it covers, and the remaining members are a difference. */
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
  for (const judge of judges) {
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

/** Returns whether both sides have the effect, with the same value. */
function areEqual(a: EffectValue | undefined, b: EffectValue | undefined): boolean {
  const [ofA, ofB] = [a, b].map((value) => value && JSON.stringify([...listOf(value)].sort()));
  return ofA !== undefined && ofA === ofB;
}

function listOf(value: EffectValue | undefined): readonly string[] {
  if (value === undefined) return [];
  return typeof value === 'string' ? [value] : value;
}

function joined(members: readonly string[]): string | undefined {
  return members.length === 0 ? undefined : [...members].sort().join(', ');
}

function merge(rows: Map<string, EffectRow>, row: EffectRow): void {
  // Equal effects are merged regardless of their values.
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
