import { matcher, podMatcher } from '../pattern';

/** One call of a tape, without its messages. */
export interface ShownCall {
  readonly n: number;
  /** The time of the call, in seconds since the recording began. */
  readonly t: number;
  readonly method: string;
  readonly api: string | undefined;
  /** `namespace/name` */
  readonly pod: string | undefined;
  readonly container: string | undefined;
  /** The name of a gRPC code, or `open` if the end of the call is not on the tape. */
  readonly status: string;
  readonly by: string | undefined;
  readonly details: string | undefined;
  readonly ms: number | undefined;
  readonly deadline_ms: number | undefined;
  /** The number of messages of a stream; 0 for other calls. */
  readonly messages: number;
  readonly faults: readonly string[];
}

export const OPEN = 'open';

export interface CallFilter {
  readonly method: string | undefined;
  readonly pod: string | undefined;
  /** Selects calls that took at least this long. */
  readonly slowMs: number | undefined;
  readonly failed: boolean;
}

export function filtered<Call extends ShownCall>(
  calls: readonly Call[],
  filter: CallFilter,
): readonly Call[] {
  const isMethod = matcher(filter.method ?? '*');
  const isPod = filter.pod === undefined ? undefined : podMatcher(filter.pod);
  return calls.filter(
    ({ method, pod, ms, status }) =>
      isMethod(method) &&
      (isPod === undefined || (pod !== undefined && isPod(pod))) &&
      (filter.slowMs === undefined || (ms !== undefined && ms >= filter.slowMs)) &&
      (!filter.failed || isFailed(status)),
  );
}

/** Returns whether a call ended with an error, regardless of which side caused it. */
export function isFailed(status: string): boolean {
  return status !== 'OK' && status !== OPEN;
}
