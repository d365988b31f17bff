import type { TapeHeader } from '../tape/format';
import { TapeReader, type TapeProblem } from '../tape/reader';
import { TapeCalls } from '../tape/tape-calls';
import { OPEN, type ShownCall } from './shown-call';

export interface ShownTape {
  readonly head: TapeHeader;
  readonly calls: readonly ShownCall[];
  /** How many lines the recording lost, according to the last line or, if that is more, to the lines before it. */
  readonly lost: number;
  readonly problems: readonly TapeProblem[];
}

/** Reads the calls of a tape. @throws FAILED_PRECONDITION if the file is not a tape; otherwise the system's error. */
export async function readCalls(file: string, input?: AsyncIterable<Buffer>): Promise<ShownTape> {
  const reader = new TapeReader(file, input);
  const tape = new TapeCalls('drop');
  let head!: TapeHeader;
  await reader.read(
    (first) => (head = first),
    (line) => tape.add(line),
  );
  return { head, calls: shown(tape), lost: tape.lost, problems: reader.problems };
}

/** Returns the calls without their messages, in the order of their start. */
export function shown(calls: TapeCalls): readonly ShownCall[] {
  return calls.inOrder().map((call) => {
    const { n, t, method, status = OPEN, api, pod, container, by, details, ms, deadlineMs } = call;
    return {
      ...{ n, t, method, status, messages: call.messageCount, faults: call.faults, api, pod, container, by },
      ...{ details, ms, deadline_ms: deadlineMs },
    };
  });
}
