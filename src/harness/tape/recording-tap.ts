import { methodOf } from '../methods';
import { MessageSplitter, type GrpcMessage } from '../proxy/grpc-messages';
import { deadlineMs, type RawHeaders } from '../proxy/raw-headers';
import type { CallTap, EndedBy } from '../proxy/relay';
import { statusIn, type CallStatus } from '../proxy/status';
import type { TapeBytes } from './entry';
import type { Recorder } from './recorder';

/** Fields of HTTP/2 and of gRPC itself: the same in every call, or told elsewhere in the line. */
const OF_GRPC = /^(?::|content-type$|accept-encoding$|te$|user-agent$|host$|grpc-(?!trace))/;
/** HTTP/2's CANCEL: how a client ends a call. */
const CANCEL = 8;

/** Writes down one call as the client saw it. */
export class RecordingTap implements CallTap {
  readonly n: number;
  readonly #began = performance.now();
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
    private readonly recorder: Recorder,
    readonly path: string,
    headers: RawHeaders,
  ) {
    this.n = recorder.nextCall();
    this.#t = recorder.now();
    this.#deadlineMs = deadlineMs(headers);
    this.#metadata = metadataOf(headers);
    this.#streams = methodOf(path)?.streams ?? false;
  }

  requestBytes(chunk: Buffer): void {
    for (const message of this.#requests.feed(chunk)) this.#begin(kept(message));
  }

  requestPassed(): void {
    // All is told when the message is here, or at the end.
  }

  responseHeaders(raw: RawHeaders): void {
    this.#status ??= statusIn(raw);
  }

  responseBytes(chunk: Buffer): void {
    for (const message of this.#answers.feed(chunk)) {
      if (this.#streams) this.#message(kept(message));
      else {
        // A second answer of a call that has one is told as a message of a stream would be.
        if (this.#held !== undefined) this.#message(this.#held);
        this.#held = kept(message);
      }
    }
  }

  answered(trailers: RawHeaders): void {
    this.#status = statusIn(trailers) ?? this.#status;
  }

  closed({ by, reset }: { readonly by: EndedBy; readonly reset: number }): void {
    this.#begin(undefined);
    const ms = performance.now() - this.#began;
    // What the client gave up has no status of the runtime, unless that was on its way already.
    const { status, details, detailsBin } = this.#status ?? this.#withoutAnswer(by, reset, ms);
    this.recorder.write({
      ...{ kind: 'end', n: this.n, t: this.recorder.now(), path: this.path, status, ms },
      ...(this.#status !== undefined && by === 'runtime' ? {} : { by }),
      ...(details === undefined ? {} : { details }),
      ...(detailsBin === undefined ? {} : { detailsBin }),
      ...(this.#held === undefined ? {} : { response: this.#held }),
    });
  }

  #withoutAnswer(by: EndedBy, reset: number, ms: number): CallStatus {
    const late = this.#deadlineMs !== undefined && ms >= this.#deadlineMs;
    if (late) return { status: 'DEADLINE_EXCEEDED' };
    if (by === 'client') return { status: 'CANCELLED' };
    return {
      status: reset === CANCEL ? 'CANCELLED' : 'UNAVAILABLE',
      details: `reset with HTTP/2 code ${reset}`,
    };
  }

  #begin(request: TapeBytes | undefined): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.recorder.write({
      ...{ kind: 'begin', n: this.n, t: this.#t, path: this.path, metadata: this.#metadata },
      ...(this.#deadlineMs === undefined ? {} : { deadlineMs: this.#deadlineMs }),
      ...(request === undefined ? {} : { request }),
    });
  }

  #message(message: TapeBytes): void {
    const { n, path, recorder } = this;
    recorder.write({ kind: 'message', n, t: recorder.now(), path, i: this.#count++, message });
  }
}

/** A copy with memory of its own, which can move to another thread. */
function kept({ bytes, length, compressed }: GrpcMessage): TapeBytes {
  return { length, compressed, ...(bytes === undefined ? {} : { bytes: new Uint8Array(bytes) }) };
}

function metadataOf(headers: RawHeaders): Record<string, string> {
  const metadata: Record<string, string> = {};
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const [name = '', value = ''] = headers.slice(at, at + 2);
    if (!OF_GRPC.test(name)) metadata[name] = name in metadata ? `${metadata[name] ?? ''},${value}` : value;
  }
  return metadata;
}
