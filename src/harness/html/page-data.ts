import type { ShownCall } from '../show/shown-call';

/**
 * What a page knows when it is opened (docs/adr/0075). The messages of the calls are not in here: they stand in the page as the lines of the
 * tape, and are parsed when a call is opened.
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
  /** As Version told it; empty if nobody knows. */
  readonly runtime: { readonly name: string; readonly version: string };
  readonly endpoint?: string;
  /** When the run began, in ISO 8601; all times `t` are seconds after it. */
  readonly recorded?: string;
  /** Seconds; the last moment that the run tells of. */
  readonly end: number;
  /** Lines that the recording lost. */
  readonly lost: number;
  /** What is wrong with the tape, a sentence each. */
  readonly problems: readonly string[];
  /** In the order of their begins. */
  readonly calls: readonly PageCall[];
  readonly states: readonly StateChange[];
  readonly events: readonly ContainerEvent[];
}

export interface PageCall extends ShownCall {
  /** Which lines of the run's payload tell of it, from 0 on. */
  readonly lines: readonly number[];
}

/** The pod and the container that something happened to; undefined as long as no answer told. */
interface Placed {
  /** Seconds. */
  readonly t: number;
  /** The call that told it. */
  readonly n: number;
  readonly id: string;
  /** `namespace/name` */
  readonly pod?: string | undefined;
  /** Undefined for a sandbox. */
  readonly container?: string | undefined;
}

export type LifeState = 'created' | 'running' | 'exited' | 'removed';

/** When a state was first seen. A sandbox that is ready is `running`, one that is not is `exited`. */
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

/** Where two runs differ: a field of the answers of two calls, or a call that only one run has. */
export interface PageDifference {
  /** The numbers of the calls in the first and the second run. */
  readonly call: { readonly a?: number; readonly b?: number };
  readonly path: string;
  readonly a?: unknown;
  readonly b?: unknown;
  readonly verdict: 'differs' | 'allowed';
  /** Why a rule allows it, or what is wrong. */
  readonly because?: string;
}
