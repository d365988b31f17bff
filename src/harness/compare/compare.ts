import type { Observation, ObservedCall } from '../observation';
import { Bijection } from './bijection';
import type { CallSide, ComparedCall, ComparedSide, Comparison } from './comparison';
import { eventsBy, paired, type EventsOf } from './events';
import { Identities } from './identities';
import { stepsBack } from './lives';
import { MessageComparer, type Findings } from './messages';
import { EVENTS } from '../methods';
import { typesOf } from './message-types';
import { PSEUDO, type Place } from './path';
import type { Rule } from './rule';
import { RuleBook } from './rule-book';
import { compareStates, type StateTrouble } from './compare-states';
import { Running } from './running';
import { Stopped } from './stopped';
import { GONE, isEmpty, named, toldBy, type Told, type ToldBySide } from './told';

/**
 * Compares the observations of two runtimes. Calls are paired by the name of the pod, container or image that they are about, and not by
 * their times.
 * @param rules in the order in which they are tried (`rulesFor`). Values that no rule matches must be equal.
 */
export function compare(a: Observation, b: Observation, rules: readonly Rule[]): Comparison {
  return new Run(a, b, rules).compare();
}

class Run {
  readonly #calls: ComparedCall[] = [];
  readonly #identities: { readonly a: Identities; readonly b: Identities };
  readonly #book: RuleBook;
  readonly #messages: MessageComparer;
  readonly #stopped: { readonly a: Stopped; readonly b: Stopped };
  readonly #told: { readonly a: ToldBySide; readonly b: ToldBySide };
  readonly #running: { readonly a: Running; readonly b: Running };

  constructor(
    private readonly a: Observation,
    private readonly b: Observation,
    rules: readonly Rule[],
  ) {
    this.#identities = { a: new Identities(inTime(a)), b: new Identities(inTime(b)) };
    this.#book = new RuleBook(rules, a.runtime, b.runtime);
    this.#messages = new MessageComparer(this.#book, new Bijection(), this.#identities);
    this.#stopped = {
      a: new Stopped(a.calls, this.#identities.a),
      b: new Stopped(b.calls, this.#identities.b),
    };
    this.#told = {
      a: toldBy({ ...a, calls: inTime(a) }, this.#identities.a),
      b: toldBy({ ...b, calls: inTime(b) }, this.#identities.b),
    };
    this.#running = {
      a: new Running(this.#told.a, a.calls, this.#identities.a),
      b: new Running(this.#told.b, b.calls, this.#identities.b),
    };
  }

  /** Begins with the calls that change something, because their answers determine which ids of A and B correspond. */
  compare(): Comparison {
    const { a, b } = this.#told;
    const actions = [...new Set([...a.actions.keys(), ...b.actions.keys()])].flatMap((key) => {
      const [ofA, ofB] = [a.actions.get(key) ?? [], b.actions.get(key) ?? []];
      return Array.from({ length: Math.max(ofA.length, ofB.length) }, (_, at) => ({
        a: ofA[at],
        b: ofB[at],
        at,
      }));
    });
    for (const { a: ofA, b: ofB, at } of actions.sort((one, other) => timeOf(one) - timeOf(other)))
      this.#action(ofA, ofB, at);
    this.#watches();
    this.#polls();
    const calls = this.#calls.sort(
      (one, other) => ((one.a ?? one.b)?.t ?? 0) - ((other.a ?? other.b)?.t ?? 0),
    );
    return {
      ...{ a: sideOf(this.a), b: sideOf(this.b), calls },
      differences: calls.reduce((sum, { differences }) => sum + differences.length, 0),
      allowed: calls.reduce((sum, { allowed }) => sum + allowed.length, 0),
      ...{ hidden: this.#messages.hidden, rules: this.#book.uses() },
    };
  }

  #action(a: Told | undefined, b: Told | undefined, occurrence: number): void {
    const findings = noFindings();
    const [callA, callB] = [a?.answers[0]?.call, b?.answers[0]?.call];
    const told = a ?? b;
    if (told === undefined) return;
    if (callA === undefined || callB === undefined) this.#alone(told, callA !== undefined, findings);
    else this.#unary(told, callA, callB, findings);
    this.#add(told, occurrence, a, b, findings);
  }

  #unary({ method, type = '' }: Told, a: ObservedCall, b: ObservedCall, into: Findings): void {
    const request = typesOf(method)?.request ?? '';
    this.#messages.message(request, a.request, b.request, { method, side: 'request', steps: [] }, into);
    const place: Place = { method, side: 'response', steps: [], request: a.request };
    if (a.status !== b.status) {
      const why = [a, b].flatMap(({ details }, at) =>
        details === undefined ? [] : [`${'AB'[at] ?? ''}: ${details}`],
      );
      const sentence =
        why.length === 0 ? 'the codes are not equal' : `the codes are not equal; ${why.join('; ')}`;
      this.#messages.pseudo(PSEUDO.status, type, { a: a.status, b: b.status }, place, sentence, into);
    } else if (a.status === 'OK') {
      this.#responses(type, a, b, place, into);
    }
  }

  /** Compares the answers of two calls that succeeded. Only a stream can succeed without an answer; an empty message is an answer. */
  #responses(type: string, a: ObservedCall, b: ObservedCall, place: Place, into: Findings): void {
    const [has, hasB] = [a, b].map(({ response }) => response !== undefined);
    if (has === hasB || typesOf(place.method)?.streams === true) {
      this.#messages.message(type, a.response, b.response, place, into);
      return;
    }
    const why = `only ${has === true ? 'A' : 'B'} has an answer`;
    this.#messages.pseudo(PSEUDO.unknown, type, { a: a.response, b: b.response }, place, why, into);
  }

  #alone({ method, type = '', steps }: Told, isA: boolean, into: Findings): void {
    const why = `only ${isA ? 'A' : 'B'} has this call`;
    const values = isA ? { a: 'called', b: undefined } : { a: undefined, b: 'called' };
    this.#messages.pseudo(PSEUDO.call, type, values, { method, side: 'response', steps }, why, into);
  }

  #polls(): void {
    const { a, b } = this.#told;
    const counts = new Map<string, number>();
    for (const key of new Set([...a.polls.keys(), ...b.polls.keys()])) {
      const [ofA, ofB] = [a.polls.get(key), b.polls.get(key)];
      const told = ofA ?? ofB;
      if (told === undefined) continue;
      const same = `${told.method}\0${named(told.identity)}`;
      const occurrence = counts.get(same) ?? 0;
      counts.set(same, occurrence + 1);
      const findings = noFindings();
      if (ofA === undefined || ofB === undefined) this.#lone(told, ofA !== undefined, findings);
      else this.#both(ofA, ofB, findings);
      this.#add(told, occurrence, ofA, ofB, findings);
    }
  }

  /** Reports a list item that only one side has, or a poll that only one side made. */
  #lone(told: Told, isA: boolean, into: Findings): void {
    const { method, type = '', identity, steps, answers } = told;
    const isItem = steps.length > 0;
    if (!isItem) {
      this.#alone(told, isA, into);
      return;
    }
    const side = isA ? 'A' : 'B';
    if (this.#isStranger(identity)) {
      into.notes.push(`only ${side} lists it, and no other call is about it`);
      return;
    }
    if (this.#hasFailed(told, isA ? this.#told.b : this.#told.a)) {
      into.notes.push(`only ${side} lists it, because the list failed on ${isA ? 'B' : 'A'}`);
      return;
    }
    const last = answers.findLast(({ message }) => message !== undefined)?.message;
    const values = isA ? { a: last, b: undefined } : { a: undefined, b: last };
    const request = answers[0]?.call.request;
    const isRunning = this.#running[isA ? 'b' : 'a'].lacks(told, undefined);
    const place: Place = { method, side: 'response', steps, request, isRunning };
    this.#messages.pseudo(PSEUDO.item, type, values, place, `only ${side} lists it`, into);
  }

  /** Returns true if the other side's list failed each time. The difference is then the status of the list, not the missing item. */
  #hasFailed({ list = '' }: Told, { polls }: ToldBySide): boolean {
    const { answers = [] } = polls.get(list) ?? {};
    return answers.length > 0 && answers.every(({ call }) => call.status !== 'OK');
  }

  /** Returns true for a pod or an image that no call of either side acts on: it belongs to the node and not to the run. */
  #isStranger({ pod, image }: Told['identity']): boolean {
    const name = pod ?? image;
    return name === undefined || ![this.#told.a, this.#told.b].some(({ acted }) => acted.has(name));
  }

  #both(a: Told, b: Told, into: Findings): void {
    const { method, type = '', steps } = a;
    const request = a.answers[0]?.call.request;
    const isRunning = [[a, this.#running.a] as const, [b, this.#running.b] as const].some(
      ([told, running]) => told.answers.at(-1)?.state === GONE && running.lacks(told, told),
    );
    const place: Place = { method, side: 'response', steps, request, isRunning };
    const states = compareStates(a, b);
    const { notes, pairs } = states;
    const trouble = states.trouble ?? this.#afterStop(a, b);
    into.notes.push(...notes);
    if (trouble !== undefined) {
      const values = { a: trouble.a, b: trouble.b };
      const name = trouble.kind === 'status' ? PSEUDO.status : PSEUDO.state;
      if (steps.length === 0 || !this.#isStranger(a.identity))
        this.#messages.pseudo(name, type, values, place, trouble.why, into);
      else into.notes.push(trouble.why);
    }
    this.#lives(a, b, place, into);
    this.#empty(a, b, place, into);
    for (const { a: one, b: other } of pairs)
      if (one.state !== GONE && one.call.status === 'OK')
        this.#messages.message(type, one.message, other.message, place, into);
  }

  /** Compares the last states between a stop and the removal. Polling can miss a short state, but a stopped container stays stopped. */
  #afterStop(a: Told, b: Told): StateTrouble | undefined {
    const [ofA, ofB] = [this.#stopped.a.lastAnswer(a)?.state, this.#stopped.b.lastAnswer(b)?.state];
    if (ofA === undefined || ofB === undefined || ofA === ofB) return undefined;
    return { kind: 'state', a: ofA, b: ofB, why: 'the last answers after the stop report different states' };
  }

  /** Reports answers that are missing or unreadable on one side. Unlike a short state, they always count as a difference. */
  #empty(a: Told, b: Told, place: Place, into: Findings): void {
    const [ofA, ofB] = [a.answers.find(isEmpty), b.answers.find(isEmpty)];
    if (ofA?.state === ofB?.state) return;
    const [valueA, valueB] = [ofA, ofB].map((answer) => answer && (answer.message ?? answer.state));
    const why = [ofA, ofB].flatMap((answer, at) =>
      answer === undefined
        ? []
        : [
            `${'AB'[at] ?? ''} has ${answer.message === undefined ? 'no answer' : 'an answer that could not be read'}`,
          ],
    );
    const values = { a: valueA, b: valueB };
    this.#messages.pseudo(PSEUDO.unknown, a.type ?? '', values, place, why.join(', '), into);
  }

  /** Reports returns to an earlier state. No runtime may do this, so it is a difference even if both sides do it. */
  #lives(a: Told, b: Told, place: Place, into: Findings): void {
    const isNote = a.steps.length > 0 && this.#isStranger(a.identity);
    for (const [side, told] of [
      ['a', a],
      ['b', b],
    ] as const)
      for (const { from, to } of stepsBack(told)) {
        const why = `on ${side.toUpperCase()} the state ${to} came after ${from}`;
        const values = { a: undefined, b: undefined, [side]: `${from}, ${to}` };
        if (isNote) into.notes.push(why);
        else this.#messages.pseudo(PSEUDO.state, a.type ?? '', values, place, why, into);
      }
  }

  #watches(): void {
    const [a, b] = [this.#told.a.watches, this.#told.b.watches];
    if (a.length === 0 && b.length === 0) return;
    const type = typesOf(EVENTS)?.response ?? '';
    const place: Place = { method: EVENTS, side: 'response', steps: [] };
    const findings = noFindings();
    const told = { key: EVENTS, method: EVENTS, identity: {}, type, steps: [] };
    const answersOf = (calls: readonly ObservedCall[]): Told['answers'] =>
      calls.map((call) => ({ call, state: call.status, message: undefined }));
    if (a.length === 0 || b.length === 0) this.#alone({ ...told, answers: [] }, a.length > 0, findings);
    const [errorA, errorB] = [a, b].map(
      (calls) => calls.map(({ status }) => status).find((status) => !ENDS.includes(status)) ?? 'OK',
    );
    if (errorA !== errorB)
      this.#messages.pseudo(
        PSEUDO.status,
        type,
        { a: errorA, b: errorB },
        place,
        'the codes are not equal',
        findings,
      );
    const sideA = a.length === 0 ? undefined : { ...told, answers: answersOf(a) };
    const sideB = b.length === 0 ? undefined : { ...told, answers: answersOf(b) };
    this.#add(told, 0, sideA, sideB, findings);
    if (a.length > 0 && b.length > 0) this.#events(a, b, told);
  }

  #events(a: readonly ObservedCall[], b: readonly ObservedCall[], told: Omit<Told, 'answers'>): void {
    const [byA, byB] = [eventsBy(a, this.#identities.a), eventsBy(b, this.#identities.b)];
    for (const name of new Set([...byA.keys(), ...byB.keys()])) {
      const [ofA, ofB] = [byA.get(name), byB.get(name)];
      const { pod, container } = ofA ?? ofB ?? {};
      const identity = {
        ...(pod === undefined ? {} : { pod }),
        ...(container === undefined ? {} : { container }),
      };
      const findings = noFindings();
      this.#sequence(name, ofA, ofB, this.#isStranger(identity), findings);
      const sideOf = (of: EventsOf | undefined): Told | undefined =>
        of === undefined
          ? undefined
          : {
              ...told,
              identity,
              answers: of.events.map(({ call, type, message }) => ({ call, state: type, message })),
            };
      this.#add({ ...told, identity }, 0, sideOf(ofA), sideOf(ofB), findings);
    }
  }

  #sequence(
    name: string,
    a: EventsOf | undefined,
    b: EventsOf | undefined,
    isStranger: boolean,
    into: Findings,
  ): void {
    const type = typesOf(EVENTS)?.response ?? '';
    const place: Place = { method: EVENTS, side: 'response', steps: [] };
    for (const { a: one, b: other } of paired(a?.events ?? [], b?.events ?? [])) {
      if (one !== undefined && other !== undefined) {
        this.#messages.message(type, one.message, other.message, place, into);
      } else if (isStranger) {
        into.notes.push(
          `only ${one === undefined ? 'B' : 'A'} sends an event, and no other call is about its pod`,
        );
      } else {
        const missing = one === undefined ? 'A' : 'B';
        const what = (one ?? other)?.type ?? '';
        const why = `${missing} lacks the event ${what} of ${name}`;
        this.#messages.pseudo(PSEUDO.event, type, { a: one?.type, b: other?.type }, place, why, into);
      }
    }
  }

  #add(
    { method, identity }: Omit<Told, 'answers'>,
    occurrence: number,
    a: Told | undefined,
    b: Told | undefined,
    { differences, allowed, notes }: Findings,
  ): void {
    const [sideA, sideB] = [callSideOf(a), callSideOf(b)];
    this.#calls.push({
      ...{ method, ...identity, occurrence, differences, allowed, notes: [...new Set(notes)] },
      ...(sideA === undefined ? {} : { a: sideA }),
      ...(sideB === undefined ? {} : { b: sideB }),
    });
  }
}

/** The codes with which a stream ends if the client cancels it or the runtime exits. They are not errors. */
const ENDS: readonly string[] = ['OK', 'CANCELLED', 'DEADLINE_EXCEEDED', 'UNAVAILABLE'];

function noFindings(): Findings {
  return { differences: [], allowed: [], notes: [] };
}

function inTime({ calls }: Observation): readonly ObservedCall[] {
  return [...calls].sort((one, other) => one.t - other.t || one.n - other.n);
}

function timeOf({ a, b }: { readonly a: Told | undefined; readonly b: Told | undefined }): number {
  return (a ?? b)?.answers[0]?.call.t ?? 0;
}

function sideOf({ source, runtime, calls }: Observation): ComparedSide {
  return { source, runtime, calls: calls.length };
}

function callSideOf(told: Told | undefined): CallSide | undefined {
  const [first] = told?.answers ?? [];
  const last = told?.answers.at(-1);
  if (told === undefined || first === undefined || last === undefined) return undefined;
  const calls = new Set(told.answers.map(({ call }) => call));
  return {
    ...{ n: first.call.n, t: first.call.t, calls: calls.size, status: last.call.status },
    ms: [...calls].reduce((sum, { ms }) => sum + ms, 0),
  };
}
