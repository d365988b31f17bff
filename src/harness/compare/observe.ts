import { basename } from 'node:path';
import type { Json, JsonObject } from '../../proto/fields';
import type { Observation, ObservedCall } from '../observation';
import { Subjects, TELLING } from '../subjects';
import type { CallBegin, CallEnd, FaultLine, TapeHeader, TapeLine } from '../tape/format';
import { TapeReader } from '../tape/reader';
import { isObject } from '../json';
import { EVENTS } from './methods';

export interface ObservedTape {
  readonly observation: Observation;
  /** What is wrong with the tape, or missing from the observation, a sentence each. */
  readonly problems: readonly string[];
}

/** More are not told one by one. */
const TOLD_PROBLEMS = 10;

/**
 * Reads what a tape tells of a runtime. Calls that the runtime did not end are left out, except for streams, which end with
 * their client. So are calls that a fault other than a delay was injected into.
 * @throws FAILED_PRECONDITION when the file is not a tape; else the system's error.
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
    ...(calls.lost > 0 ? [`${calls.lost} lines are missing, because the recording lost them`] : []),
    ...(calls.leftOut > 0
      ? [`${calls.leftOut} calls are not compared, because the tape does not tell what the runtime answered`]
      : []),
    ...(calls.faulted > 0
      ? [`${calls.faulted} calls are not compared, because a fault was injected into them`]
      : []),
    ...reader.problems.slice(0, TOLD_PROBLEMS).map(({ line, why }) => `line ${line} ${why}`),
    ...(reader.problems.length > TOLD_PROBLEMS
      ? [`${reader.problems.length - TOLD_PROBLEMS} more lines like these`]
      : []),
  ];
  return {
    observation: { source: file, runtime: { name, version }, calls: all },
    problems: problems.map((problem) => `${basename(file)}: ${problem}`),
  };
}

type Growing = { -readonly [Key in keyof ObservedCall]: ObservedCall[Key] };

/** Puts the lines of a tape together to calls. */
class Calls {
  #lostSoFar = 0;
  #lostInAll = 0;
  readonly #open = new Map<number, Growing & { stream?: JsonObject[] }>();
  readonly #ended: ObservedCall[] = [];
  readonly #subjects = new Subjects();

  /** Calls whose answer may be the fault's. A delay only changes when the runtime is asked. */
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

  /** How many calls are left out for another reason than a fault. Complete after `all`. */
  get leftOut(): number {
    return [...this.#unanswered].filter((n) => !this.#faulted.has(n)).length;
  }

  /** How many calls a fault was injected into. */
  get faulted(): number {
    return this.#faulted.size;
  }

  /** In the order of their begins. */
  all(): readonly ObservedCall[] {
    for (const { stream, ...call } of this.#open.values()) {
      if (call.method === EVENTS) this.#ended.push({ ...call, messages: stream ?? [] });
      else this.#unanswered.add(call.n);
    }
    this.#open.clear();
    // The line of a fault may come after that of the call's end.
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
    // The line of its begin may be lost; an answer whose question nobody knows is compared with nothing.
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
