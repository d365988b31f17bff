import type { Json, JsonObject } from '../../proto/fields';
import type { Observation, ObservedCall } from '../observation';
import type { Identities, Identity } from './identities';
import { canonical, isObject, listOf, objectOf, textOf } from '../json';
import { UNREAD } from '../tape/lines';
import { Makings } from './makings';
import { EVENTS, isPolled, listedIn, typesOf } from './methods';
import type { Step } from './path';

/** What one side reported: the answer to one call that changes something, or all polled answers about one pod, container or image. */
export interface Told {
  /** A key that is the same on both sides for corresponding calls. */
  readonly key: string;
  readonly method: string;
  readonly identity: Identity;
  /** The type of the messages; undefined if the proto does not define the method. */
  readonly type: string | undefined;
  /** The path to these messages in an answer; empty if the message is the whole answer. */
  readonly steps: readonly Step[];
  readonly answers: Answer[];
}

export interface Answer {
  readonly call: ObservedCall;
  /** What a polled answer reports: the state of a container, `listed`, `gone`, or the code of an error. */
  readonly state: string;
  readonly message: JsonObject | undefined;
}

export interface ToldBySide {
  /** The calls that change something, by their keys, in order of time. */
  readonly actions: ReadonlyMap<string, readonly Told[]>;
  readonly polls: ReadonlyMap<string, Told>;
  readonly watches: readonly ObservedCall[];
  /** The pods and images that calls of this side act on. */
  readonly acted: ReadonlySet<string>;
}

export const GONE = 'gone';
/** The state of a call that succeeded without an answer. If the answer could not be read, the state is `@unread`. */
const NO_ANSWER = 'no answer';

/** Returns whether a call succeeded, but its answer is missing or unreadable. */
export function isEmpty({ state }: Answer): boolean {
  return state === NO_ANSWER || state === UNREAD;
}

/** Groups the calls of one side by method and by the pod, container or image that they are about. */
export function toldBy({ calls }: Observation, identities: Identities): ToldBySide {
  const actions = new Map<string, Told[]>();
  const polls = new Polls(identities, new Makings(calls, identities));
  const watches: ObservedCall[] = [];
  const acted = new Set<string>();
  for (const call of calls) {
    if (call.method === EVENTS) watches.push(call);
    else if (isPolled(call.method)) polls.add(call);
    else {
      const identity = identityOf(call, identities);
      for (const name of [identity.pod, identity.image, imageIn(call, identities)])
        if (name !== undefined) acted.add(name);
      const key = [call.method, named(identity), detail(call)].join('\0');
      const one = { ...toldOf(key, call, identity), answers: [answerOf(call)] };
      const before = actions.get(key);
      if (before === undefined) actions.set(key, [one]);
      else before.push(one);
    }
  }
  return { actions, polls: polls.told, watches, acted };
}

/** Returns the pod, container or image of a call, from the ids in its request. Without known ids, uses the names in the observation. */
function identityOf(call: ObservedCall, identities: Identities): Identity {
  const identity = identities.of(call);
  if (identity.pod !== undefined || identity.image !== undefined) return identity;
  return {
    ...(call.pod === undefined ? {} : { pod: call.pod }),
    ...(call.container === undefined ? {} : { container: call.container }),
    ...identity,
  };
}

function toldOf(key: string, { method }: ObservedCall, identity: Identity): Omit<Told, 'answers'> {
  return { key, method, identity, type: typesOf(method)?.response, steps: [] };
}

function answerOf(call: ObservedCall): Answer {
  const { status, response } = call;
  return { call, state: status === 'OK' ? stateOf(call) : status, message: response };
}

function stateOf({ method, response, messages }: ObservedCall): string {
  if (response === undefined)
    return messages === undefined && typesOf(method)?.streams !== true ? NO_ANSWER : 'OK';
  if (UNREAD in response) return UNREAD;
  const state = textOf(objectOf(response.status).state);
  if (state !== undefined) return state;
  // Proto3 JSON leaves out an enum's default.
  if (method === 'ContainerStatus') return 'CONTAINER_CREATED';
  if (method === 'PodSandboxStatus') return 'SANDBOX_READY';
  if (method === 'ImageStatus') return isObject(response.image) ? 'present' : 'absent';
  return 'OK';
}

/** Collects polled answers. A list is divided into its items, each of which is about one pod, container or image. */
class Polls {
  readonly told = new Map<string, Told>();
  /** The items that have appeared in a list, by the list's key. */
  readonly #lists = new Map<string, Told[]>();

  constructor(
    private readonly identities: Identities,
    private readonly makings: Makings,
  ) {}

  add(call: ObservedCall): void {
    const { method, request, status } = call;
    const identity = identityOf(call, this.identities);
    const key = [method, named(identity), shapeOf(request, this.identities)].join('\0');
    const types = typesOf(method);
    const listed = types === undefined ? undefined : listedIn(types.response);
    const answer = answerOf(call);
    const own = this.#told({ ...toldOf(key, call, identity) });
    own.answers.push(listed === undefined || isEmpty(answer) ? answer : { ...answer, message: undefined });
    if (types === undefined || listed === undefined || status !== 'OK' || isEmpty(answer)) return;

    const answers = types.streams ? (call.messages ?? []) : [call.response ?? {}];
    const items = answers.flatMap((one) => listOf(one[listed.field])).filter(isObject);
    const seen = new Set<string>();
    const known = this.#lists.get(key) ?? [];
    this.#lists.set(key, known);
    for (const item of items) {
      const of = this.identities.ofItem(item) ?? {};
      let itemKey = `${key}\0${named(of)}${' (again)'.repeat(this.makings.of(item))}`;
      while (seen.has(itemKey)) itemKey += ' (again)';
      seen.add(itemKey);
      const steps = [{ message: types.response, field: listed.field, key: named(of) }];
      const one = this.#told({ key: itemKey, method, identity: of, type: listed.type, steps });
      if (one.answers.length === 0) known.push(one);
      one.answers.push({ call, state: itemState(listed.type, item), message: item });
    }
    for (const one of known)
      if (!seen.has(one.key) && one.answers.at(-1)?.state !== GONE)
        one.answers.push({ call, state: GONE, message: undefined });
  }

  #told(what: Omit<Told, 'answers'>): Told {
    const known = this.told.get(what.key);
    if (known !== undefined) return known;
    const made = { ...what, answers: [] };
    this.told.set(what.key, made);
    return made;
  }
}

function itemState(type: string, item: JsonObject): string {
  const first = { Container: 'CONTAINER_CREATED', PodSandbox: 'SANDBOX_READY' }[type];
  return textOf(item.state) ?? first ?? 'listed';
}

/** Returns a request as text, with names in place of ids. `verbose` is left out, because it does not change what the call is about. */
function shapeOf({ verbose: _verbose, ...request }: JsonObject, identities: Identities): string {
  return canonical(withNames(request, identities));
}

function withNames(value: Json, identities: Identities): Json {
  if (typeof value === 'string') return identities.named(value);
  if (Array.isArray(value)) return listOf(value).map((one) => withNames(one, identities));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, withNames(one, identities)]));
}

export function named({ pod, container, image }: Identity): string {
  return [pod, container, image].filter((part) => part !== undefined).join('/');
}

/** Returns what distinguishes calls of the same method about the same container: the command of Exec and ExecSync. */
function detail({ method, request }: ObservedCall): string {
  return method.startsWith('Exec') ? canonical(request.cmd) : '';
}

function imageIn({ request }: ObservedCall, identities: Identities): string | undefined {
  const name =
    textOf(objectOf(objectOf(request.config).image).image) ?? textOf(objectOf(request.image).image);
  return name === undefined ? undefined : identities.imageName(name);
}
