import type { JsonObject } from '../proto/fields';

/** A call with its request and its answer, from a tape or from a runtime that is running now. */
export interface ObservedCall {
  /** Unique in its observation. */
  readonly n: number;
  /** The time of the call, in seconds since the observation began. */
  readonly t: number;
  readonly ms: number;
  readonly method: string;
  readonly request: JsonObject;
  /** The name of a gRPC code, such as `OK` or `NOT_FOUND`. */
  readonly status: string;
  readonly details?: string;
  /** The answer to a call that is not a stream, in the form of `toJson`. */
  readonly response?: JsonObject;
  /** The messages of a stream. */
  readonly messages?: readonly JsonObject[];
  /** `namespace/name` */
  readonly pod?: string;
  readonly container?: string;
}

/** The calls to one runtime, from a tape, a replay or a scenario. */
export interface Observation {
  /** A file, or the address of a socket. */
  readonly source: string;
  /** As Version reported it; empty if unknown. */
  readonly runtime: { readonly name: string; readonly version: string };
  readonly calls: readonly ObservedCall[];
}
