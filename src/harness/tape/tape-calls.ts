import type { Json, JsonObject } from '../../proto/fields';
import { isObject } from '../json';
import type { ObservedCall } from '../observation';
import { Subjects, type Subject } from '../subjects';
import type { CallBegin, CallEnd, TapeLine } from './format';

/** A call, assembled from its lines. */
export interface TapeCall extends Subject {
  readonly n: number;
  /** The time of its start in seconds since the recording began. */
  readonly t: number;
  readonly method: string;
  /** Whether the line of its request is on the tape. Without it, the fields from here to `request` are missing. */
  readonly hasBegin: boolean;
  readonly api?: string;
  readonly deadlineMs?: number;
  readonly request?: Json;
  /** Missing if the end is not on the tape, as are the other fields from here to `response`. */
  readonly status?: string;
  /** The time of its end in seconds. */
  readonly end?: number;
  readonly ms?: number;
  readonly by?: 'client' | 'runtime' | 'proxy';
  readonly details?: string;
  readonly response?: Json;
  /** The messages of a stream; empty if the messages are dropped. */
  readonly messages: readonly Json[];
  /** How many messages the stream has, whether or not they are dropped. */
  readonly messageCount: number;
  /** The kinds of the faults that were injected into the call. */
  readonly faults: readonly string[];
}

type Growing = { -readonly [Key in keyof TapeCall]: TapeCall[Key] } & { messages: Json[] };

/** Assembles calls from the lines of a tape, in memory. */
export class TapeCalls {
  /** The names of the pods and containers, as far as the lines have reported them. */
  readonly subjects = new Subjects();
  #lostSoFar = 0;
  #lostInAll = 0;
  readonly #calls = new Map<number, Growing>();

  /** @param messages whether requests, answers and messages of streams are kept or dropped as soon as they are no longer needed. */
  constructor(private readonly messages: 'keep' | 'drop') {}

  /** How many lines the recording lost: the number in the last line, or the sum of the lines before it if that is higher. */
  get lost(): number {
    return Math.max(this.#lostSoFar, this.#lostInAll);
  }

  add(line: TapeLine): void {
    if ('end' in line) this.#lostInAll = line.lost;
    else if ('lost' in line) this.#lostSoFar += line.lost;
    else if ('fault' in line) {
      if (line.n === undefined) return;
      const call = this.#call(line.n, line.t, line.method ?? '');
      call.faults = [...call.faults, line.fault];
    } else if ('status' in line) this.#end(line);
    else if ('message' in line) {
      const call = this.#call(line.n, line.t, line.method);
      call.messageCount++;
      if (this.messages === 'keep') call.messages.push(line.message);
      this.subjects.learn(line.method, call.request, line.message);
    } else if ('n' in line) this.#begin(line);
  }

  /** Returns the calls in the order of their start. */
  inOrder(): readonly TapeCall[] {
    return [...this.#calls.values()].sort((one, other) => one.t - other.t || one.n - other.n);
  }

  #begin({ n, t, method, api, deadline_ms, request }: CallBegin): void {
    const call = this.#call(n, t, method);
    Object.assign(call, { t, hasBegin: true }, this.subjects.of(request));
    if (api !== undefined) call.api = api;
    if (deadline_ms !== undefined) call.deadlineMs = deadline_ms;
    if (request !== undefined) call.request = request;
  }

  #end({ n, t, method, status, by, details, ms, response }: CallEnd): void {
    // The line of the request may be lost.
    const call = this.#call(n, t - ms / 1000, method);
    this.subjects.learn(method, call.request, response);
    // Another call's answer may have reported the name of an id since the start.
    Object.assign(call, { status, ms, end: t }, this.subjects.of(call.request));
    if (by !== undefined) call.by = by;
    if (details !== undefined) call.details = details;
    if (this.messages === 'drop') delete call.request;
    else if (response !== undefined) call.response = response;
  }

  #call(n: number, t: number, method: string): Growing {
    const known = this.#calls.get(n);
    if (known !== undefined) return known;
    const call: Growing = { n, t, method, hasBegin: false, messages: [], messageCount: 0, faults: [] };
    this.#calls.set(n, call);
    return call;
  }
}

/**
 * Returns the call as an observation contains it. A message that is not an object is left out.
 * @param open the status of a call whose end is not on the tape.
 */
export function observed(call: TapeCall, open: string): ObservedCall {
  const { n, t, ms = 0, method, request, status = open, details, response, pod, container } = call;
  const messages = call.messages.filter(isObject);
  return {
    ...{ n, t, ms, method, request: objectIn(request), status },
    ...(details === undefined ? {} : { details }),
    ...(response === undefined ? {} : { response: objectIn(response) }),
    ...(messages.length === 0 ? {} : { messages }),
    ...(pod === undefined ? {} : { pod }),
    ...(container === undefined ? {} : { container }),
  };
}

function objectIn(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {};
}
