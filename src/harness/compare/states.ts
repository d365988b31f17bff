import { canonical } from '../json';
import type { Answer } from './told';

/** Codes that tell a state, or that say nothing about the runtime. */
const NO_ERRORS = ['OK', 'NOT_FOUND', 'CANCELLED', 'DEADLINE_EXCEEDED'];

export interface StateTrouble {
  readonly kind: 'status' | 'state';
  readonly a: string | undefined;
  readonly b: string | undefined;
  readonly why: string;
}

export interface ComparedStates {
  readonly trouble: StateTrouble | undefined;
  readonly notes: readonly string[];
  /** Answers that tell one state, to be compared. */
  readonly pairs: readonly { readonly a: Answer; readonly b: Answer }[];
}

/**
 * Compares what polling told. How often a state was seen says nothing, and a state that passes quickly may be missed by one side. But both
 * must end in the same state, have passed those that both saw in the same order, and no side may have an error that the
 * other has not.
 */
export function compareStates(a: readonly Answer[], b: readonly Answer[]): ComparedStates {
  const [ofA, ofB] = [statesOf(a), statesOf(b)];
  const shared = new Set(ofA.filter((state) => ofB.includes(state)));
  const onlyA = ofA.filter((state) => !shared.has(state));
  const onlyB = ofB.filter((state) => !shared.has(state));
  const notes = [
    ...[...new Set(onlyA)].map((state) => `only A told the state ${state}`),
    ...[...new Set(onlyB)].map((state) => `only B told the state ${state}`),
  ];
  return {
    trouble: troubleOf(a, b, ofA, ofB, shared),
    notes,
    pairs: [...shared].flatMap((state) => pairsIn(told(a, state), told(b, state))),
  };
}

function troubleOf(
  a: readonly Answer[],
  b: readonly Answer[],
  ofA: readonly string[],
  ofB: readonly string[],
  shared: ReadonlySet<string>,
): StateTrouble | undefined {
  const last = (answers: readonly Answer[]): Answer | undefined => answers.at(-1);
  const failed = (answers: readonly Answer[]): Answer | undefined =>
    answers.find(({ call, state }) => !shared.has(state) && !NO_ERRORS.includes(call.status));
  const [errorA, errorB] = [failed(a), failed(b)];
  if (errorA !== undefined || errorB !== undefined) {
    const [sideA, sideB] = [errorA ?? last(a), errorB ?? last(b)];
    return { kind: 'status', a: sideA?.call.status, b: sideB?.call.status, why: whyOf(errorA, errorB) };
  }
  const [lastA, lastB] = [last(a), last(b)];
  if (lastA?.state !== lastB?.state) {
    const isCode = lastA?.call.status !== lastB?.call.status;
    return isCode
      ? {
          kind: 'status',
          a: lastA?.call.status,
          b: lastB?.call.status,
          why: 'the last answers have other codes',
        }
      : { kind: 'state', a: lastA?.state, b: lastB?.state, why: 'the last answers tell other states' };
  }
  const [inA, inB] = [ofA, ofB].map((states) => runs(states.filter((state) => shared.has(state))).join(', '));
  if (inA !== inB) return { kind: 'state', a: inA, b: inB, why: 'the states came in another order' };
  return undefined;
}

function whyOf(a: Answer | undefined, b: Answer | undefined): string {
  const text = [
    ...(a === undefined ? [] : [`A failed: ${a.call.details ?? a.call.status}`]),
    ...(b === undefined ? [] : [`B failed: ${b.call.details ?? b.call.status}`]),
  ];
  return text.join('; ');
}

/** The states one after the other, each as often as it was entered. */
function statesOf(answers: readonly Answer[]): readonly string[] {
  return runs(answers.map(({ state }) => state));
}

function runs(states: readonly string[]): readonly string[] {
  return states.filter((state, at) => state !== states[at - 1]);
}

/** The answers that told a state, without those that repeat the one before. */
function told(answers: readonly Answer[], state: string): readonly Answer[] {
  const of = answers.filter((answer) => answer.state === state);
  const texts = of.map(({ message }) => canonical(message));
  return of.filter((_, at) => texts[at] !== texts[at - 1]);
}

/** As many different answers are compared one by one; else the first ones and the last ones. */
function pairsIn(a: readonly Answer[], b: readonly Answer[]): { a: Answer; b: Answer }[] {
  const pair = (one: Answer | undefined, other: Answer | undefined): { a: Answer; b: Answer }[] =>
    one === undefined || other === undefined ? [] : [{ a: one, b: other }];
  if (a.length === b.length) return a.flatMap((one, at) => pair(one, b[at]));
  return [...pair(a[0], b[0]), ...pair(a.at(-1), b.at(-1))];
}
