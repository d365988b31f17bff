import { basename } from 'node:path';
import type { Observation, ObservedCall } from '../observation';
import { counted } from '../../lib/counted';
import type { TapeHeader } from '../tape/format';
import { lostLines } from '../tape/lost-lines';
import { TapeReader } from '../tape/reader';
import { observed, TapeCalls, type TapeCall } from '../tape/tape-calls';
import { EVENTS } from '../methods';

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
  const calls = new TapeCalls('keep');
  let head: TapeHeader | undefined;
  await reader.read(
    (line) => (head = line),
    (line) => calls.add(line),
  );
  const all = calls.inOrder();
  const unspoilt = all.filter((call) => !isFaulted(call));
  const answered = unspoilt.filter(isAnswered);
  const [faulted, leftOut] = [all.length - unspoilt.length, unspoilt.length - answered.length];
  const { runtime_name: name = '', runtime_version: version = '' } = head?.upstream ?? {};
  const problems = [
    ...(calls.lost > 0 ? [lostLines(calls.lost)] : []),
    ...(leftOut > 0
      ? [
          `${counted(leftOut, 'call is', 'calls are')} not compared, because the tape does not contain the runtime's answer`,
        ]
      : []),
    ...(faulted > 0
      ? [`${counted(faulted, 'call is', 'calls are')} not compared, because of an injected fault`]
      : []),
    ...reader.problems.slice(0, TOLD_PROBLEMS).map(({ line, why }) => `line ${line} ${why}`),
    ...(reader.problems.length > TOLD_PROBLEMS
      ? [`${counted(reader.problems.length - TOLD_PROBLEMS, 'more line')} like these`]
      : []),
  ];
  return {
    observation: { source: file, runtime: { name, version }, calls: answered.map(observedCall) },
    problems: problems.map((problem) => `${basename(file)}: ${problem}`),
  };
}

/** Returns whether a fault may have changed the answer. A delay only changes when the runtime gets the call. */
function isFaulted({ faults }: TapeCall): boolean {
  return faults.some((fault) => fault !== 'delay');
}

/** Returns whether the tape has the request and the runtime's answer. An event stream needs no answer, because its client ends it. */
function isAnswered({ hasBegin, method, status, by }: TapeCall): boolean {
  return hasBegin && (method === EVENTS || (status !== undefined && by === undefined));
}

function observedCall(call: TapeCall): ObservedCall {
  return { ...(call.status === undefined ? { messages: [] } : {}), ...observed(call, 'CANCELLED') };
}
