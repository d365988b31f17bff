import type { Json } from '../../proto/fields';

/** The version of the format (docs/harness.md). A reader refuses a later one. */
export const TAPE_VERSION = 1;

/** The first line of a tape. */
export interface TapeHeader {
  readonly tape: number;
  /** The time in ISO 8601 at which the recording began. All times `t` are in seconds since then. */
  readonly recorded: string;
  readonly by: string;
  readonly upstream: {
    readonly endpoint: string;
    readonly runtime_name?: string;
    readonly runtime_version?: string;
  };
  /** The kinds of values that are hidden; empty with `--unsafe-full`. */
  readonly redacted: readonly string[];
}

/** The line about the beginning of a call. In this and the following lines, `n` is the number of the call. */
export interface CallBegin {
  readonly n: number;
  readonly t: number;
  readonly method: string;
  /** `v1` or `v1alpha2`. If the path is not a CRI method, this is missing and `method` is the whole path. */
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
  /** The name of a gRPC code. */
  readonly status: string;
  /** The side that ended the call; missing if the runtime answered. */
  readonly by?: 'client' | 'runtime' | 'proxy';
  readonly details?: string;
  readonly details_bin?: string;
  /** The time from the beginning of the request to the end of the answer, as the proxy saw them. */
  readonly ms: number;
  readonly response?: Json;
}

/** The line about an injected fault. `n` is missing if the fault does not concern a call. */
export interface FaultLine {
  readonly n?: number;
  readonly t: number;
  readonly method?: string;
  readonly fault: string;
  readonly rule: number;
}

/** The line about lost lines. If `why` is missing, they were lost because the disk was too slow. */
export interface LostLine {
  readonly t: number;
  readonly lost: number;
  readonly why?: string;
}

/** The last line. A tape without it was cut off, or is still being recorded. */
export interface TapeEnd {
  readonly t: number;
  readonly end: true;
  readonly calls: number;
  readonly lost: number;
}

export type TapeLine = CallBegin | StreamMessage | CallEnd | FaultLine | LostLine | TapeEnd;
