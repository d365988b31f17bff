import { basename } from 'node:path';
import type { Json, JsonObject } from '../../proto/fields';
import type { Observation, ObservedCall } from '../observation';
import { Subjects, TELLING } from '../subjects';
import type { CallBegin, CallEnd, FaultLine, TapeHeader, TapeLine } from '../tape/format';
import { lostLines } from '../tape/lost-lines';
import { TapeReader } from '../tape/reader';
import { counted } from '../../lib/counted';
import { isObject } from '../json';
import { EVENTS } from './methods';

export interface ObservedTape {
  readonly observation: Observation;
  /** What is wrong with the tape or missing from the observation, one sentence each. */
  readonly problems: readonly string[];
}

/** How many unreadable lines are reported one by one. */
const TOLD_PROBLEMS = 10;

/**
 * Reads a tape as the observation of a runtime. Calls that the runtime did not answer are left out, except for event streams, which
 * clients end. Calls into which a fault other than a delay was injected are left out too.
 * @throws FAILED_PRECONDITION if the file is not a tape; otherwise the system's error.
 */
export async function observationOf(file: string, input?: AsyncIterable<Buffer>): Promise<ObservedTape> {
  const reader = new TapeReader(file, input);
  const calls = new Calls();
  let head: TapeHeader | undefined;
  await reader.read(
    (line) => (head = line),
    (line) => calls.add(line),
  );
  const all = calls.all();
  const { runtime_name: name = '', runtime_version: version = '' } = head?.upstream ?? {};
  const problems = [
    ...(calls.lost > 0 ? [lostLines(calls.lost)] : []),
    ...(calls.leftOut > 0
      ? [
          `${counted(calls.leftOut, 'call is', 'calls are')} not compared, because the tape does not contain the runtime's answer`,
        ]
      : []),
    ...(calls.faulted > 0
      ? [`${counted(calls.faulted, 'call is', 'calls are')} not compared, because of an injected fault`]
      : []),
    ...reader.problems.slice(0, TOLD_PROBLEMS).map(({ line, why }) => `line ${line} ${why}`),
    ...(reader.problems.length > TOLD_PROBLEMS
      ? [`${counted(reader.problems.length - TOLD_PROBLEMS, 'more line')} like these`]
      : []),
  ];
  return {
    observation: { source: file, runtime: { name, version }, calls: all },
    problems: problems.map((problem) => `${basename(file)}: ${problem}`),
  };
}

type Growing = { -readonly [Key in keyof ObservedCall]: ObservedCall[Key] };

/** Assembles calls from the lines of a tape. */
class Calls {
  #lostSoFar = 0;
  #lostInAll = 0;
  readonly #open = new Map<number, Growing & { stream?: JsonObject[] }>();
  readonly #ended: ObservedCall[] = [];
  readonly #subjects = new Subjects();

  /** Calls whose answer may come from an injected fault. A delay is not one of these faults, because the answer is still the runtime's. */
  readonly #faulted = new Set<number>();

  readonly #unanswered = new Set<number>();

  get lost(): number {
    return Math.max(this.#lostSoFar, this.#lostInAll);
  }

  add(line: TapeLine): void {
    if ('end' in line) this.#lostInAll = line.lost;
    else if ('lost' in line) this.#lostSoFar += line.lost;
    else if ('fault' in line) this.#fault(line);
    else if ('status' in line) this.#end(line);
    else if ('message' in line) this.#message(line.n, line.method, line.message);
    else if ('n' in line) this.#begin(line);
  }

  /** How many calls are left out for a reason other than a fault. Complete after `all`. */
  get leftOut(): number {
    return [...this.#unanswered].filter((n) => !this.#faulted.has(n)).length;
  }

  /** How many calls were changed by an injected fault. */
  get faulted(): number {
    return this.#faulted.size;
  }

  /** Returns the calls in order of their start. */
  all(): readonly ObservedCall[] {
    for (const { stream, ...call } of this.#open.values()) {
      if (call.method === EVENTS) this.#ended.push({ ...call, messages: stream ?? [] });
      else this.#unanswered.add(call.n);
    }
    this.#open.clear();
    // The line about a fault may come after the line of the call's end.
    return this.#ended
      .filter(({ n }) => !this.#faulted.has(n))
      .sort((one, other) => one.t - other.t || one.n - other.n);
  }

  #fault({ n, fault }: FaultLine): void {
    if (n !== undefined && fault !== 'delay') this.#faulted.add(n);
  }

  #begin({ n, t, method, request }: CallBegin): void {
    const call = { n, t, ms: 0, method, request: objectIn(request), status: 'CANCELLED' };
    this.#open.set(n, { ...call, ...this.#subjects.of(request) });
  }

  #message(n: number, method: string, message: Json): void {
    const call = this.#open.get(n);
    if (call === undefined || !isObject(message)) return;
    (call.stream ??= []).push(message);
    if (TELLING.has(method)) this.#subjects.learn(method, call.request, message);
  }

  #end({ n, method, status, by, details, ms, response }: CallEnd): void {
    const call = this.#open.get(n);
    this.#open.delete(n);
    // If the line with the request was lost, the answer cannot be compared.
    if (call === undefined || (by !== undefined && method !== EVENTS)) {
      this.#unanswered.add(n);
      return;
    }
    if (TELLING.has(method)) this.#subjects.learn(method, call.request, response);
    const { stream, ...rest } = call;
    this.#ended.push({
      ...{ ...rest, ms, status, ...this.#subjects.of(call.request) },
      ...(details === undefined ? {} : { details }),
      ...(response === undefined ? {} : { response: objectIn(response) }),
      ...(stream === undefined ? {} : { messages: stream }),
    });
  }
}

function objectIn(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {};
}
