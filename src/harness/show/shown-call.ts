import { matcher, podMatcher } from '../pattern';

/** One call of a tape, without its messages. */
export interface ShownCall {
  readonly n: number;
  /** Seconds after the recording began. */
  readonly t: number;
  readonly method: string;
  readonly api: string | undefined;
  /** `namespace/name` */
  readonly pod: string | undefined;
  readonly container: string | undefined;
  /** `open` if the tape does not tell its end. */
  readonly status: string;
  readonly by: string | undefined;
  readonly details: string | undefined;
  readonly ms: number | undefined;
  readonly deadline_ms: number | undefined;
  /** How many messages a stream has brought; 0 for other calls. */
  readonly messages: number;
  readonly faults: readonly string[];
}

export const OPEN = 'open';

export interface CallFilter {
  readonly method: string | undefined;
  readonly pod: string | undefined;
  /** Calls that took at least this long. */
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

/** Whether a call ended in an error, whoever produced that. */
export function isFailed(status: string): boolean {
  return status !== 'OK' && status !== OPEN;
}
