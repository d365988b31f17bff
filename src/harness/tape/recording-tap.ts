import { constants } from 'node:http2';
import { methodOf } from '../methods';
import { MessageSplitter, type GrpcMessage } from '../proxy/grpc-messages';
import { deadlineMs, type RawHeaders } from '../proxy/raw-headers';
import type { CallClosed, CallTap } from '../proxy/relay';
import { statusIn, type CallStatus } from '../proxy/status';
import type { LineEntry, TapeBytes } from './entry';

/** Header fields of HTTP/2 and gRPC. They are left out, because they are the same in every call or have their own place in the line. */
const OF_GRPC = /^(?::|content-type$|accept-encoding$|te$|user-agent$|host$|grpc-(?!trace))/;
/** The gRPC code that clients derive from the HTTP/2 code of a reset. All other resets are INTERNAL. */
const STATUS_OF_RESET: Readonly<Record<number, string>> = {
  [constants.NGHTTP2_REFUSED_STREAM]: 'UNAVAILABLE',
  [constants.NGHTTP2_CANCEL]: 'CANCELLED',
  [constants.NGHTTP2_ENHANCE_YOUR_CALM]: 'RESOURCE_EXHAUSTED',
  [constants.NGHTTP2_INADEQUATE_SECURITY]: 'PERMISSION_DENIED',
};
/**
 * A call that ended within this last share of its deadline counts as timed out. The client's clock starts before the call arrives here,
 * on a busy node by tens of milliseconds.
 */
const DEADLINE_SLACK = 0.05;

/** Receives the entries of a call, and provides its number and its times. */
export interface CallSink {
  nextCall(): number;
  /** Returns the seconds since the recording began. */
  now(): number;
  write(entry: LineEntry): void;
}

/** Records one call as the client saw it. */
export class RecordingTap implements CallTap {
  readonly n: number;
  readonly #deadlineMs: number | undefined;
  readonly #metadata: Readonly<Record<string, string>>;
  readonly #streams: boolean;
  readonly #requests = new MessageSplitter();
  readonly #answers = new MessageSplitter();
  readonly #t: number;
  #hasBegun = false;
  #held: TapeBytes | undefined;
  #count = 0;
  #status: CallStatus | undefined;

  constructor(
    private readonly sink: CallSink,
    readonly path: string,
    headers: RawHeaders,
  ) {
    this.n = sink.nextCall();
    this.#t = sink.now();
    this.#deadlineMs = deadlineMs(headers);
    this.#metadata = metadataOf(headers);
    this.#streams = methodOf(path)?.streams ?? false;
  }

  requestBytes(chunk: Buffer): void {
    for (const message of this.#requests.feed(chunk)) this.#begin(kept(message));
  }

  requestPassed(): void {
    // The line is not written here, but when the message is complete or the call ends.
  }

  responseHeaders(raw: RawHeaders): void {
    this.#status ??= statusIn(raw);
  }

  responseBytes(chunk: Buffer): void {
    for (const message of this.#answers.feed(chunk)) {
      if (this.#streams) this.#message(kept(message));
      else {
        // A second answer to a unary call is recorded like a message of a stream.
        if (this.#held !== undefined) this.#message(this.#held);
        this.#held = kept(message);
      }
    }
  }

  answered(trailers: RawHeaders): void {
    this.#status = statusIn(trailers) ?? this.#status;
  }

  closed(end: CallClosed): void {
    const { by } = end;
    this.#begin(undefined);
    const t = this.sink.now();
    const ms = (t - this.#t) * 1000;
    // If the client gave the call up, the status is the runtime's only if the answer had already arrived here.
    const { status, details, detailsBin } = this.#status ?? this.#withoutAnswer(end, ms);
    this.sink.write({
      ...{ kind: 'end', n: this.n, t, path: this.path, status, ms },
      ...(this.#status !== undefined && by === 'runtime' ? {} : { by }),
      ...(details === undefined ? {} : { details }),
      ...(detailsBin === undefined ? {} : { detailsBin }),
      ...(this.#held === undefined ? {} : { response: this.#held }),
    });
  }

  #withoutAnswer({ by, reset }: CallClosed, ms: number): CallStatus {
    const late = this.#deadlineMs !== undefined && ms >= this.#deadlineMs * (1 - DEADLINE_SLACK);
    // Either side can end a call at its deadline: a runtime that watches the deadline resets the call.
    if (late && by !== 'proxy') return { status: 'DEADLINE_EXCEEDED' };
    if (by === 'client') return { status: 'CANCELLED' };
    if (reset === undefined) return { status: 'UNAVAILABLE', details: 'the connection was closed' };
    return { status: STATUS_OF_RESET[reset] ?? 'INTERNAL', details: `reset with HTTP/2 code ${reset}` };
  }

  #begin(request: TapeBytes | undefined): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.sink.write({
      ...{ kind: 'begin', n: this.n, t: this.#t, path: this.path, metadata: this.#metadata },
      ...(this.#deadlineMs === undefined ? {} : { deadlineMs: this.#deadlineMs }),
      ...(request === undefined ? {} : { request }),
    });
  }

  #message(message: TapeBytes): void {
    const { n, path, sink } = this;
    sink.write({ kind: 'message', n, t: sink.now(), path, i: this.#count++, message });
  }
}

/** Returns a copy in separate memory, which can be transferred to another thread. */
function kept({ bytes, length, compressed }: GrpcMessage): TapeBytes {
  return { length, compressed, ...(bytes === undefined ? {} : { bytes: new Uint8Array(bytes) }) };
}

function metadataOf(headers: RawHeaders): Record<string, string> {
  // The object has no prototype, because a field can be called `constructor`.
  const metadata = Object.create(null) as Record<string, string>;
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const [name = '', value = ''] = headers.slice(at, at + 2);
    if (!OF_GRPC.test(name)) metadata[name] = name in metadata ? `${metadata[name] ?? ''},${value}` : value;
  }
  return metadata;
}
