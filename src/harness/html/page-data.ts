import type { ShownCall } from '../show/shown-call';

/**
 * The index of a page, which the page reads when it is opened (docs/adr/0075). The messages of the calls are separate: the page contains
 * them as lines of the tape, and parses them when a call is shown.
 */
export interface PageData {
  /** One run, or two to compare. */
  readonly runs: readonly PageRun[];
  /** Empty for one run. */
  readonly differences: readonly PageDifference[];
}

export interface PageRun {
  /** A file, or the address of a socket. */
  readonly source: string;
  /** As the runtime reported it in Version; empty if unknown. */
  readonly runtime: { readonly name: string; readonly version: string };
  readonly endpoint?: string;
  /** When the run began, in ISO 8601; all times `t` are seconds after it. */
  readonly recorded?: string;
  /** The time of the last line, in seconds. */
  readonly end: number;
  /** The number of lines that the recording lost. */
  readonly lost: number;
  /** What is wrong with the tape, one sentence each. */
  readonly problems: readonly string[];
  /** In order of their start. */
  readonly calls: readonly PageCall[];
  readonly states: readonly StateChange[];
  readonly events: readonly ContainerEvent[];
}

export interface PageCall extends ShownCall {
  /** The numbers of the lines of the run's payload that belong to this call, counted from 0. */
  readonly lines: readonly number[];
}

/** A moment in the life of a sandbox or container. The names are undefined if no answer contains them. */
interface Placed {
  /** The time in seconds. */
  readonly t: number;
  /** The number of the call that reported it. */
  readonly n: number;
  readonly id: string;
  /** `namespace/name` */
  readonly pod?: string | undefined;
  /** Undefined for a sandbox. */
  readonly container?: string | undefined;
}

export type LifeState = 'created' | 'running' | 'exited' | 'removed';

/** The first report of a state. A sandbox is `running` if it is ready, and `exited` if it is not ready. */
export interface StateChange extends Placed {
  readonly of: 'sandbox' | 'container';
  readonly state: LifeState;
  readonly by: 'answer' | 'event';
  readonly exit_code?: number;
  readonly reason?: string;
}

/** A message of GetContainerEvents. */
export interface ContainerEvent extends Placed {
  readonly type: 'created' | 'started' | 'stopped' | 'deleted';
}

/** A difference between two runs, such as a field in two answers, or a call that only one run has. */
export interface PageDifference {
  /** The numbers of the calls in the first and the second run. */
  readonly call: { readonly a?: number; readonly b?: number };
  readonly path: string;
  readonly a?: unknown;
  readonly b?: unknown;
  readonly verdict: 'differs' | 'allowed';
  /** Why a rule allows the difference. Without such a rule, a sentence that describes the difference. */
  readonly because?: string;
}
