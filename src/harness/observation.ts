import type { JsonObject } from '../proto/fields';

/** A call with its request and its answer, whether a tape told of it or it was made just now. */
export interface ObservedCall {
  /** Unique in its observation. */
  readonly n: number;
  /** When it was made: seconds since the observation began. */
  readonly t: number;
  readonly ms: number;
  readonly method: string;
  readonly request: JsonObject;
  /** A name of gRPC's codes, such as `OK` or `NOT_FOUND`. */
  readonly status: string;
  readonly details?: string;
  /** The answer to a unary call; messages are as `toJson` makes them. */
  readonly response?: JsonObject;
  /** The messages of a stream. */
  readonly messages?: readonly JsonObject[];
  /** `namespace/name` */
  readonly pod?: string;
  readonly container?: string;
}

/** What was seen of one runtime: from a tape, from a replay, or from a scenario. */
export interface Observation {
  /** A file, or the address of a socket. */
  readonly source: string;
  /** As Version reported it; empty if unknown. */
  readonly runtime: { readonly name: string; readonly version: string };
  readonly calls: readonly ObservedCall[];
}
