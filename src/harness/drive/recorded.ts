import { isObject } from '../json';
import type { ObservedCall } from '../observation';
import { Subjects } from '../subjects';
import type { CallBegin, CallEnd, TapeHeader, TapeLine } from '../tape/format';
import { lostLines } from '../tape/lost-lines';
import { TapeReader } from '../tape/reader';
import type { Json, JsonObject } from '../../proto/fields';

/** A call on a tape, with the additional information that a replay needs. */
export interface RecordedCall extends ObservedCall {
  /** The time of the end in seconds; Infinity if the end is not on the tape. */
  readonly end: number;
  readonly deadlineMs?: number;
  readonly by?: 'client' | 'runtime' | 'proxy';
  /** The faults that were injected into the call. */
  readonly faults: readonly string[];
  /** Why the call cannot be made again; undefined if it can. */
  readonly unknown?: string;
}

export interface RecordedTape {
  readonly head: TapeHeader;
  /** In order of their start. */
  readonly calls: readonly RecordedCall[];
  /** What is wrong with the tape, one sentence each. */
  readonly problems: readonly string[];
}

type Growing = { -readonly [Key in keyof RecordedCall]: RecordedCall[Key] } & { messages?: JsonObject[] };

/** Reads a whole tape into memory. @throws FAILED_PRECONDITION if the file is not a tape; otherwise the system's error. */
export async function readRecorded(file: string, input?: AsyncIterable<Buffer>): Promise<RecordedTape> {
  const reader = new TapeReader(file, input);
  const calls = new Calls();
  let head!: TapeHeader;
  await reader.read(
    (read) => (head = read),
    (line) => calls.add(line),
  );
  const { lost } = calls;
  const problems = reader.problems.map(({ line, why }) => `${file}: line ${line} ${why}`);
  if (lost > 0) problems.unshift(`${file}: ${lostLines(lost)}`);
  return { head, calls: calls.inOrder(), problems };
}

const NO_REQUEST = 'its request is not on the tape';

class Calls {
  #lostSoFar = 0;
  #lostInAll = 0;
  readonly #calls = new Map<number, Growing>();
  readonly #subjects = new Subjects();

  get lost(): number {
    return Math.max(this.#lostSoFar, this.#lostInAll);
  }

  add(line: TapeLine): void {
    if ('end' in line) this.#lostInAll = line.lost;
    else if ('lost' in line) this.#lostSoFar += line.lost;
    else if ('fault' in line) {
      const call = line.n === undefined ? undefined : this.#call(line.n, line.t, line.method ?? '');
      if (call !== undefined) call.faults = [...call.faults, line.fault];
    } else if ('status' in line) this.#end(line);
    else if ('message' in line) {
      const call = this.#call(line.n, line.t, line.method);
      (call.messages ??= []).push(asObject(line.message));
      this.#subjects.learn(line.method, call.request, line.message);
    } else if ('n' in line) this.#begin(line);
  }

  inOrder(): RecordedCall[] {
    return [...this.#calls.values()].sort((one, other) => one.t - other.t || one.n - other.n);
  }

  #begin({ n, t, method, api, deadline_ms, request }: CallBegin): void {
    const call = this.#call(n, t, method);
    call.t = t;
    if (deadline_ms !== undefined) call.deadlineMs = deadline_ms;
    if (api === undefined) call.unknown = 'it is not a CRI method';
    else if (request === undefined) call.unknown = NO_REQUEST;
    else if (!isObject(request) || '@unread' in request)
      call.unknown = 'its request could not be read when it was recorded';
    else {
      delete call.unknown;
      call.request = request;
      Object.assign(call, this.#subjects.of(request));
    }
  }

  #end({ n, t, method, status, by, details, ms, response }: CallEnd): void {
    const call = this.#call(n, t - ms / 1000, method);
    this.#subjects.learn(method, call.request, response);
    Object.assign(call, { status, ms, end: t });
    if (by !== undefined) call.by = by;
    if (details !== undefined) call.details = details;
    if (response !== undefined) call.response = asObject(response);
    // The pod's name is looked up again, because it may have become known by the answer to another call.
    Object.assign(call, this.#subjects.of(call.request));
  }

  #call(n: number, t: number, method: string): Growing {
    const known = this.#calls.get(n);
    if (known !== undefined) return known;
    const call: Growing = {
      ...{ n, t, ms: 0, method, request: {}, status: 'open', end: Infinity, faults: [], unknown: NO_REQUEST },
    };
    this.#calls.set(n, call);
    return call;
  }
}

function asObject(value: Json): JsonObject {
  return isObject(value) ? value : {};
}
