import type { Json } from '../../proto/fields';

/** The version of the format (docs/harness.md). A reader refuses a later one. */
export const TAPE_VERSION = 1;

/** The first line of a tape. */
export interface TapeHeader {
  readonly tape: number;
  /** When the recording began; all times `t` are seconds after it. */
  readonly recorded: string;
  readonly by: string;
  readonly upstream: {
    readonly endpoint: string;
    readonly runtime_name?: string;
    readonly runtime_version?: string;
  };
  /** What is hidden; empty in a tape of `--unsafe-full`. */
  readonly redacted: readonly string[];
}

/** Each line after it is about one moment; `n` is the number of a call. */
export interface CallBegin {
  readonly n: number;
  readonly t: number;
  readonly method: string;
  /** `v1` or `v1alpha2`; missing for a path that is not a method of CRI; `method` then holds the whole path. */
  readonly api?: string;
  readonly deadline_ms?: number;
  /** The client's own header fields, without those of gRPC. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly request?: Json;
}

/** A message of a stream. */
export interface StreamMessage {
  readonly n: number;
  readonly t: number;
  readonly method: string;
  /** Counted from 0. */
  readonly i: number;
  readonly message: Json;
}

export interface CallEnd {
  readonly n: number;
  readonly t: number;
  readonly method: string;
  /** A name of gRPC's codes. */
  readonly status: string;
  /** Who ended it, unless the runtime answered. */
  readonly by?: 'client' | 'runtime' | 'proxy';
  readonly details?: string;
  readonly details_bin?: string;
  /** From the request's head to the answer's end, both as the proxy saw them. */
  readonly ms: number;
  readonly response?: Json;
}

/** What was injected into a call; `n` is missing if it concerns no call. */
export interface FaultLine {
  readonly n?: number;
  readonly t: number;
  readonly method?: string;
  readonly fault: string;
  readonly rule: number;
}

/** Lines that are missing here. Without `why` the reason is that the disk did not keep up. */
export interface LostLine {
  readonly t: number;
  readonly lost: number;
  readonly why?: string;
}

/** The last line; a tape without it was cut, or its recording still runs. */
export interface TapeEnd {
  readonly t: number;
  readonly end: true;
  readonly calls: number;
  readonly lost: number;
}

export type TapeLine = CallBegin | StreamMessage | CallEnd | FaultLine | LostLine | TapeEnd;
