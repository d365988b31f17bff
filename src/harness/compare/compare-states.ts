import { canonical } from '../json';
import { isOfLife } from './lives';
import type { Answer, Told } from './told';

type Polled = Pick<Told, 'identity' | 'answers'>;

/** Codes that are not errors of the runtime: they report a state, or the client caused them. */
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
  /** Pairs of answers that report the same state and are to be compared. */
  readonly pairs: readonly { readonly a: Answer; readonly b: Answer }[];
}

/**
 * Compares the states that polling reported. The number of polls has no meaning, and one side may miss a short state. But both sides
 * must end in the same state, and no side may have an error that the other side does not have. States that both sides saw must have come
 * in the same order. For the states of containers and sandboxes, `stepsBack` checks the order on each side instead.
 */
export function compareStates(toldA: Polled, toldB: Polled): ComparedStates {
  const [{ answers: a, identity }, { answers: b }] = [toldA, toldB];
  const [ofA, ofB] = [statesOf(a), statesOf(b)];
  const shared = new Set(ofA.filter((state) => ofB.includes(state)));
  const onlyA = ofA.filter((state) => !shared.has(state));
  const onlyB = ofB.filter((state) => !shared.has(state));
  const notes = [
    ...[...new Set(onlyA)].map((state) => `only A reported the state ${state}`),
    ...[...new Set(onlyB)].map((state) => `only B reported the state ${state}`),
  ];
  return {
    trouble:
      troubleOf(a, b, shared) ??
      disorder(ofA, ofB, (state) => shared.has(state) && !isOfLife(identity, state)),
    notes,
    pairs: [...shared].flatMap((state) => pairsIn(told(a, state), told(b, state))),
  };
}

function troubleOf(
  a: readonly Answer[],
  b: readonly Answer[],
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
          why: 'the last answers have different codes',
        }
      : { kind: 'state', a: lastA?.state, b: lastB?.state, why: 'the last answers report different states' };
  }
  return undefined;
}

function disorder(
  a: readonly string[],
  b: readonly string[],
  isMeant: (state: string) => boolean,
): StateTrouble | undefined {
  const [inA, inB] = [a, b].map((states) => runs(states.filter(isMeant)).join(', '));
  return inA === inB
    ? undefined
    : { kind: 'state', a: inA, b: inB, why: 'the states came in a different order' };
}

function whyOf(a: Answer | undefined, b: Answer | undefined): string {
  const text = [
    ...(a === undefined ? [] : [`A failed: ${a.call.details ?? a.call.status}`]),
    ...(b === undefined ? [] : [`B failed: ${b.call.details ?? b.call.status}`]),
  ];
  return text.join('; ');
}

/** Returns the states in order. Repetitions of the same state are left out. */
function statesOf(answers: readonly Answer[]): readonly string[] {
  return runs(answers.map(({ state }) => state));
}

function runs(states: readonly string[]): readonly string[] {
  return states.filter((state, at) => state !== states[at - 1]);
}

/** Returns the answers that report this state. Answers that equal the previous one are left out. */
function told(answers: readonly Answer[], state: string): readonly Answer[] {
  const of = answers.filter((answer) => answer.state === state);
  const texts = of.map(({ message }) => canonical(message));
  return of.filter((_, at) => texts[at] !== texts[at - 1]);
}

/** Pairs the answers one by one if both sides have equally many. Otherwise pairs only the first answers and the last answers. */
function pairsIn(a: readonly Answer[], b: readonly Answer[]): { a: Answer; b: Answer }[] {
  const pair = (one: Answer | undefined, other: Answer | undefined): { a: Answer; b: Answer }[] =>
    one === undefined || other === undefined ? [] : [{ a: one, b: other }];
  if (a.length === b.length) return a.flatMap((one, at) => pair(one, b[at]));
  return [...pair(a[0], b[0]), ...pair(a.at(-1), b.at(-1))];
}
