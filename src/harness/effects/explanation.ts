import { runtimeMatch, type Runtime } from '../compare/runtime-match';
import { matcher } from '../pattern';

/** What one side of an explained difference is. */
export interface ExplainedSide {
  /** Such as `docker`, `docker < 23` or `containerd`: as `only` of a rule has it (docs/harness.md). */
  readonly runtime: string;
  /** What is there: the text of an effect, or a member of a set. Without it, nothing is. */
  readonly value?: RegExp;
}

/** A difference that is known, with its reason, for values of a certain form alone: others are told. */
export interface Explanation {
  /** The name of effects, as a pattern with `*` and `?`. */
  readonly effect: string;
  /** `pod/container` of the scenario, as such a pattern; all of them by default. */
  readonly container?: string;
  /** Either may be A. */
  readonly sides: readonly [ExplainedSide, ExplainedSide];
  /**
   * For sets: the part of a member that both sides share. A member is then explained only if the other side has an explained member
   * with the same part.
   */
  readonly pairedBy?: RegExp;
  /** A whole sentence. */
  readonly because: string;
  /** What somebody who moves from one to the other should do; nothing where no pod can depend on it. */
  readonly advice?: string;
}

/** An explanation whose sides are A and B of a comparison. */
export interface Judge {
  readonly explanation: Explanation;
  isFor(container: string, effect: string): boolean;
  /** Whether this value of a side is as the explanation says; undefined is none. */
  covers(side: 'a' | 'b', value: string | undefined): boolean;
  /** The members of two sets that are as the explanation says. It explains none if one side lacks what it should have. */
  takes(members: Members): Members;
}

/** Members of a set that the other side does not have. */
export interface Members {
  readonly a: readonly string[];
  readonly b: readonly string[];
}

/** @returns none where the explanation is about other runtimes; two where it fits both ways round. */
export function judgesOf(explanation: Explanation, a: Runtime, b: Runtime): Judge[] {
  const [one, other] = explanation.sides;
  const isEffect = matcher(explanation.effect);
  const isContainer = matcher(explanation.container ?? '*');
  return [
    { a: one, b: other },
    { a: other, b: one },
  ]
    .filter((sides) => is(sides.a, a) && is(sides.b, b))
    .map((sides) => {
      const covers: Judge['covers'] = (side, value) =>
        value === undefined ? sides[side].value === undefined : (sides[side].value?.test(value) ?? false);
      const needsBoth = sides.a.value !== undefined && sides.b.value !== undefined;
      return {
        explanation,
        isFor: (container, effect) => isEffect(effect) && isContainer(container),
        covers,
        takes: ({ a: ofA, b: ofB }) => {
          const covered = {
            a: ofA.filter((member) => covers('a', member)),
            b: ofB.filter((member) => covers('b', member)),
          };
          return needsBoth ? paired(covered, explanation.pairedBy) : covered;
        },
      };
    });
}

/** Without a pattern, all members of one side stand for all of the other. */
function paired({ a, b }: Members, pattern = /^/): Members {
  const partOf = (member: string): string | undefined => pattern.exec(member)?.[0];
  const [ofA, ofB] = [a, b].map((members) => new Set(members.map(partOf)));
  return {
    a: a.filter((member) => ofB?.has(partOf(member)) === true),
    b: b.filter((member) => ofA?.has(partOf(member)) === true),
  };
}

function is({ runtime }: ExplainedSide, told: Runtime): boolean {
  return runtimeMatch(runtime, 'runtime')(told);
}
