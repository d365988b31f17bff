import { isObject } from '../json';
import type { ObservedCall } from '../observation';
import { OPEN } from '../show/shown-call';
import type { TapeHeader } from '../tape/format';
import { UNREAD } from '../tape/lines';
import { lostLines } from '../tape/lost-lines';
import { TapeReader } from '../tape/reader';
import { observed, TapeCalls, type TapeCall } from '../tape/tape-calls';

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

/** Reads a whole tape into memory. @throws FAILED_PRECONDITION if the file is not a tape; otherwise the system's error. */
export async function readRecorded(file: string, input?: AsyncIterable<Buffer>): Promise<RecordedTape> {
  const reader = new TapeReader(file, input);
  const calls = new TapeCalls('keep');
  let head!: TapeHeader;
  await reader.read(
    (read) => (head = read),
    (line) => calls.add(line),
  );
  const { lost } = calls;
  const problems = reader.problems.map(({ line, why }) => `${file}: line ${line} ${why}`);
  if (lost > 0) problems.unshift(`${file}: ${lostLines(lost)}`);
  return { head, calls: calls.inOrder().map(recordedOf), problems };
}

function recordedOf(call: TapeCall): RecordedCall {
  const { end = Infinity, faults, deadlineMs, by } = call;
  const unknown = whyUnknown(call);
  return {
    ...observed(call, OPEN),
    ...{ end, faults },
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
    ...(by === undefined ? {} : { by }),
    ...(unknown === undefined ? {} : { unknown, request: {} }),
  };
}

/** Returns why the request cannot be made again; undefined if it can. */
function whyUnknown({ hasBegin, api, request }: TapeCall): string | undefined {
  if (hasBegin && api === undefined) return 'it is not a CRI method';
  if (request === undefined) return 'its request is not on the tape';
  if (!isObject(request) || UNREAD in request) return 'its request could not be read when it was recorded';
  return undefined;
}
