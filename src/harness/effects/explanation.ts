import { runtimeMatch, type Runtime } from '../compare/runtime-match';
import { matcher } from '../pattern';

/** One side of an explained difference. */
export interface ExplainedSide {
  /** A runtime such as `docker`, `docker < 23` or `containerd`, in the notation of `only` in rules (docs/harness.md). */
  readonly runtime: string;
  /** Matches the text of the effect, or a member of the set. If undefined, this side has no value. */
  readonly value?: RegExp;
}

/** A known difference and its reason. It covers only values that match; other values are reported as differences. */
export interface Explanation {
  /** A pattern of effect names, with `*` and `?`. */
  readonly effect: string;
  /** A pattern of `pod/container` of the scenario; by default all containers. */
  readonly container?: string;
  /** Either side can be A. */
  readonly sides: readonly [ExplainedSide, ExplainedSide];
  /**
   * Matches the part that is equal in the values of both sides. For sets, a member is then explained only if the other side has an
   * explained member with the same part.
   */
  readonly pairedBy?: RegExp;
  /** The name of another effect. The explanation applies only to containers in which both sides have the same value of that effect. */
  readonly ifEqual?: string;
  /** A whole sentence. */
  readonly because: string;
  /** What to do when pods move from one runtime to the other. Undefined if no pod can depend on the difference. */
  readonly advice?: string;
}

/** An explanation whose sides are assigned to A and B of a comparison. */
export interface Judge {
  readonly explanation: Explanation;
  /** @param isEqual returns whether both sides have the same value of another effect of this container. */
  isFor(container: string, effect: string, isEqual: (effect: string) => boolean): boolean;
  /** Returns whether the explanation covers these two values; undefined stands for no value. */
  covers(a: string | undefined, b: string | undefined): boolean;
  /** Returns the members of two sets that the explanation covers. There are none if a side lacks a member that it must have. */
  takes(members: Members): Members;
}

/** Members of a set that the other side does not have. */
export interface Members {
  readonly a: readonly string[];
  readonly b: readonly string[];
}

/** Returns a judge for each assignment of the sides that fits the runtimes: none, one, or two. */
export function judgesOf(explanation: Explanation, a: Runtime, b: Runtime): Judge[] {
  const { pairedBy, ifEqual } = explanation;
  const [one, other] = explanation.sides;
  const isEffect = matcher(explanation.effect);
  const isContainer = matcher(explanation.container ?? '*');
  return [
    { a: one, b: other },
    { a: other, b: one },
  ]
    .filter((sides) => is(sides.a, a) && is(sides.b, b))
    .map((sides) => {
      const isValue = (side: 'a' | 'b', value: string | undefined): boolean =>
        value === undefined ? sides[side].value === undefined : (sides[side].value?.test(value) ?? false);
      const needsBoth = sides.a.value !== undefined && sides.b.value !== undefined;
      return {
        explanation,
        isFor: (container, effect, isEqual) =>
          isEffect(effect) && isContainer(container) && (ifEqual === undefined || isEqual(ifEqual)),
        covers: (valueA, valueB) =>
          isValue('a', valueA) &&
          isValue('b', valueB) &&
          (!needsBoth || partOf(valueA, pairedBy) === partOf(valueB, pairedBy)),
        takes: ({ a: ofA, b: ofB }) => {
          const covered = {
            a: ofA.filter((member) => isValue('a', member)),
            b: ofB.filter((member) => isValue('b', member)),
          };
          return needsBoth ? paired(covered, pairedBy) : covered;
        },
      };
    });
}

/** Keeps the members whose part occurs on both sides. */
function paired({ a, b }: Members, pairedBy: RegExp | undefined): Members {
  const part = (member: string): string | undefined => partOf(member, pairedBy);
  const [ofA, ofB] = [a, b].map((members) => new Set(members.map(part)));
  return {
    a: a.filter((member) => ofB?.has(part(member)) === true),
    b: b.filter((member) => ofA?.has(part(member)) === true),
  };
}

/** Returns the part of a value that must be equal on both sides. Without a pattern, all values have the same part. */
function partOf(value = '', pattern = /^/): string | undefined {
  return pattern.exec(value)?.[0];
}

function is({ runtime }: ExplainedSide, told: Runtime): boolean {
  return runtimeMatch(runtime, 'runtime')(told);
}
