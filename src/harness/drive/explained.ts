import { DESCRIPTORS, type FieldRow } from '../../proto/descriptors';
import type { Json } from '../../proto/fields';
import { listedIn, typesOf } from '../compare/message-types';
import { PSEUDO, type Place, type Step } from '../compare/path';
import type { Rule } from '../compare/rule';
import { RuleBook } from '../compare/rule-book';
import { isForAny } from '../compare/rules';
import type { Runtime } from '../compare/runtime-match';
import { GONE } from '../compare/told';
import type { RecordedCall } from './recorded';
import type { Reported } from './reported-states';

/** Whether rules allow a difference, and if so, whether waiting ends it. */
export type Allowance = 'none' | 'brief' | 'lasting';

/** What is known about a container that one of the answers lacks. */
export interface Lacking {
  /** Whether the endpoint last reported the container as running. If the endpoint lacks it, waiting may then end the difference. */
  readonly isRunning: boolean;
  /** Whether the side that lacks it listed it before. `compare` then reports a state, and not a missing item. */
  readonly wasListed: boolean;
}

type Asked = Pick<RecordedCall, 'method' | 'request'>;

/** Decides whether rules allow a difference between the states of a recorded answer and those of the endpoint's answer. */
export class Explained {
  readonly #book: RuleBook;

  /**
   * @param rules in the order in which they are tried.
   * @param a the recorded runtime.
   * @param b the endpoint's runtime.
   * @param nameOf returns the name of a pod or container of the tape in the paths of rules.
   */
  constructor(
    rules: readonly Rule[],
    a: Runtime,
    b: Runtime,
    private readonly nameOf: (id: string) => string,
  ) {
    this.#book = new RuleBook(rules, a, b);
  }

  /** Returns whether rules allow that the answers have different codes. An error on the tape does not end, so only live errors are brief. */
  status(call: Asked, recorded: string, live: string): Allowance {
    const message = typesOf(call.method)?.response ?? '';
    const allowance = this.#allowance(call, [{ message, field: PSEUDO.status }], undefined, recorded, live);
    return allowance === 'brief' && live === 'OK' ? 'lasting' : allowance;
  }

  /**
   * Returns whether rules allow that a pod or container has different states, or is missing in one of the answers.
   * @param id on the tape.
   * @param recorded undefined if the recorded answer does not contain it; at least one of the two is given.
   */
  state(
    call: Asked,
    id: string,
    recorded: Reported | undefined,
    live: Reported | undefined,
    { isRunning, wasListed }: Lacking,
  ): Allowance {
    const { field } = recorded ?? live ?? { field: '' };
    const response = typesOf(call.method)?.response ?? '';
    const [, , type = '', kind] = rowOf(response, field) ?? [];
    if (kind !== 'list') {
      // An answer about one object can lack it only if the whole answer is strange, which no rule allows.
      if (recorded === undefined || live === undefined) return 'none';
      const step = { message: response, field: PSEUDO.state };
      return this.#allowance(call, [step], undefined, recorded.state, live.state);
    }
    const item = { message: response, field, key: this.nameOf(id) };
    const isListed = listedIn(response)?.field === field;
    if (recorded === undefined || live === undefined) {
      const isGone = isListed && wasListed;
      const step = { message: type, field: isGone ? PSEUDO.state : PSEUDO.item };
      const [a, b] = [recorded, live].map((one) => (isGone ? stateIn(one) : one?.item));
      return this.#allowance(call, [item, step], undefined, a, b, isRunning && live === undefined);
    }
    // The states in a list of pods or containers are compared as a whole, and those in other lists as fields.
    const row = isListed ? undefined : rowOf(type, 'state');
    const step = { message: type, field: isListed ? PSEUDO.state : 'state' };
    return this.#allowance(call, [item, step], row, recorded.state, live.state);
  }

  #allowance(
    { method, request }: Asked,
    steps: readonly Step[],
    row: FieldRow | undefined,
    a: Json | undefined,
    b: Json | undefined,
    isRunning = false,
  ): Allowance {
    const place: Place = { method, side: 'response', steps, request };
    const rule = this.#book.find(place, row, a, b);
    if (rule === undefined || !isForAny(rule.as)) return 'none';
    return rule.brief === true || (rule.ended === true && isRunning) ? 'brief' : 'lasting';
  }
}

/** Returns the state of a list item as `compare` names it. */
function stateIn(item: Reported | undefined): string {
  if (item === undefined) return GONE;
  return item.state === '' ? 'listed' : item.state;
}

function rowOf(message: string, field: string): FieldRow | undefined {
  return DESCRIPTORS.messages[message]?.find(([, name]) => name === field);
}
