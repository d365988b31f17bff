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
    .map((sides) => ({
      explanation,
      isFor: (container, effect) => isEffect(effect) && isContainer(container),
      covers: (side, value) =>
        value === undefined ? sides[side].value === undefined : (sides[side].value?.test(value) ?? false),
    }));
}

function is({ runtime }: ExplainedSide, told: Runtime): boolean {
  return runtimeMatch(runtime, 'runtime')(told);
}
