import { Subjects } from '../subjects';
import type { CallBegin, CallEnd, TapeHeader, TapeLine } from '../tape/format';
import { TapeReader, type TapeProblem } from '../tape/reader';
import { OPEN, type ShownCall } from './shown-call';

export interface ShownTape {
  readonly head: TapeHeader;
  readonly calls: readonly ShownCall[];
  /** How many lines the recording lost, according to the last line or, if that is more, to the lines before it. */
  readonly lost: number;
  readonly problems: readonly TapeProblem[];
}

type Growing = { -readonly [Key in keyof ShownCall]: ShownCall[Key] };

/** Reads the calls of a tape. @throws FAILED_PRECONDITION if the file is not a tape; otherwise the system's error. */
export async function readCalls(file: string, input?: AsyncIterable<Buffer>): Promise<ShownTape> {
  const reader = new TapeReader(file, input);
  const tape = new CallAssembly();
  let head!: TapeHeader;
  await reader.read(
    (first) => (head = first),
    (line) => tape.add(line),
  );
  return { head, calls: tape.calls(), lost: tape.lost, problems: reader.problems };
}

/** Assembles calls from the lines of a tape. Messages are not kept. */
export class CallAssembly {
  #lostSoFar = 0;
  #lostInAll = 0;
  readonly #calls = new Map<number, Growing>();
  readonly #requests = new Map<number, CallBegin['request']>();
  /** Maps ids to the pods and containers that the lines so far have named. */
  readonly subjects = new Subjects();

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
      call.messages++;
      this.subjects.learn(line.method, this.#requests.get(line.n), line.message);
    } else if ('n' in line) this.#begin(line);
  }

  /** Returns the calls in order of their start. */
  calls(): ShownCall[] {
    return [...this.#calls.values()].sort((one, other) => one.t - other.t || one.n - other.n);
  }

  #begin({ n, t, method, api, deadline_ms, request }: CallBegin): void {
    const call = this.#call(n, t, method);
    Object.assign(call, { t, api, deadline_ms }, this.subjects.of(request));
    this.#requests.set(n, request);
  }

  #end({ n, t, method, status, by, details, ms, response }: CallEnd): void {
    // The call is created here if the line with its request was lost.
    const call = this.#call(n, t - ms / 1000, method);
    const request = this.#requests.get(n);
    this.#requests.delete(n);
    this.subjects.learn(method, request, response);
    Object.assign(call, { status, by, details, ms }, this.subjects.of(request));
  }

  #call(n: number, t: number, method: string): Growing {
    const known = this.#calls.get(n);
    if (known !== undefined) return known;
    const call: Growing = {
      ...{ n, t, method, status: OPEN, messages: 0, faults: [] },
      ...{ api: undefined, pod: undefined, container: undefined, by: undefined },
      ...{ details: undefined, ms: undefined, deadline_ms: undefined },
    };
    this.#calls.set(n, call);
    return call;
  }
}
