import {
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type ServerHttp2Stream,
} from 'node:http2';
import { errnoOf, messageOf } from '../../lib/errors';
import { outgoing, type RawHeaders } from './raw-headers';
import { errorHeaders } from './status';

/** The side that ended a call. */
export type EndedBy = 'client' | 'runtime' | 'proxy';

export interface CallClosed {
  readonly by: EndedBy;
  /** The HTTP/2 error code with which the call was reset; undefined if the whole connection was closed. */
  readonly reset: number | undefined;
}

/** Observes one call. Its methods must neither throw nor wait. */
export interface CallTap {
  /** The call's number on the tape; undefined without a tape. */
  readonly n: number | undefined;
  requestBytes(chunk: Buffer): void;
  /** The request is complete and was passed on. */
  requestPassed(): void;
  responseHeaders(raw: RawHeaders): void;
  responseBytes(chunk: Buffer): void;
  /** The runtime has ended its answer; `trailers` is empty if the status was in the headers. */
  answered(trailers: RawHeaders): void;
  /** Called once, after all other methods. */
  closed(end: CallClosed): void;
}

/** A call of a client. */
export interface IncomingCall {
  readonly path: string;
  readonly headers: RawHeaders;
  readonly stream: ServerHttp2Stream;
  /** The connection to the runtime that belongs to the client's connection. */
  readonly runtime: ClientHttp2Session;
  readonly tap: CallTap;
  /** Closes the client's connection with all its calls, without an error code. */
  readonly drop: () => void;
  /** Prints a warning. */
  readonly warn: (text: string) => void;
}

/** Replaces a chunk of an answer by `pass`. `cut` resets the call after these bytes (INTERNAL_ERROR), and the rest of the answer is dropped. */
export type ResponseFilter = (chunk: Buffer) => { readonly pass: Buffer; readonly cut: boolean };

export interface RelayOptions {
  /** The request's bytes, if they have been read already. Otherwise they are passed on as they arrive. */
  readonly body?: Buffer;
  readonly filter?: ResponseFilter;
}

/**
 * Passes a call on in both directions: header fields, bytes, trailers and resets. Messages are not decoded, so deadlines (a header field),
 * compression, metadata, status details and unknown methods pass unchanged.
 */
export function relay(call: IncomingCall, options: RelayOptions = {}): void {
  const { stream, tap } = call;
  if (stream.destroyed) {
    tap.closed({ by: 'client', reset: stream.rstCode });
    return;
  }
  const upstream = openUpstream(call);
  if (upstream === undefined) return;
  let isDone = false;
  const close = (by: EndedBy, reset: number | undefined): void => {
    if (isDone) return;
    isDone = true;
    tap.closed({ by, reset });
  };
  stream.on('error', () => undefined);
  upstream.on('error', () => undefined);
  // If the client cancels or disconnects, the runtime's stream is reset with the same code.
  stream.on('close', () => {
    close('client', stream.rstCode);
    if (!upstream.closed) upstream.close(stream.rstCode || constants.NGHTTP2_CANCEL);
  });
  sendRequest(call, upstream, options.body);
  passAnswer(call, upstream, options, close);
}

/** The errors of `request` if the connection accepts no more calls: after GOAWAY, when it is closed, or when all stream ids are used. */
const TAKES_NO_MORE: ReadonlySet<string> = new Set([
  ...['ERR_HTTP2_GOAWAY_SESSION', 'ERR_HTTP2_INVALID_SESSION', 'ERR_HTTP2_OUT_OF_STREAMS'],
]);

/**
 * Opens the same call at the runtime. If this connection accepts no more calls, the call is refused, so that the client repeats it on a
 * new connection. If the call cannot be made, for example because Node.js rejects its header fields, the call is reset.
 * @returns undefined if the call was refused or reset.
 */
export function openUpstream(call: IncomingCall): ClientHttp2Stream | undefined {
  const { stream, headers, path, runtime, tap, warn } = call;
  try {
    return runtime.request(outgoing(headers), { endStream: false });
  } catch (error) {
    const isRefused = TAKES_NO_MORE.has(errnoOf(error) ?? '');
    const reset = isRefused ? constants.NGHTTP2_REFUSED_STREAM : constants.NGHTTP2_INTERNAL_ERROR;
    if (!isRefused) warn(`${path} cannot be passed on: ${messageOf(error)}`);
    stream.on('error', () => undefined);
    // The tap learns the cause before the reset, because a stream that closes first looks as if the client had closed it.
    tap.closed({ by: isRefused ? 'runtime' : 'proxy', reset });
    stream.close(reset);
    return undefined;
  }
}

function sendRequest({ stream, tap }: IncomingCall, upstream: ClientHttp2Stream, body?: Buffer): void {
  if (body !== undefined) {
    upstream.end(body);
    tap.requestPassed();
    return;
  }
  stream.on('data', (chunk: Buffer) => {
    tap.requestBytes(chunk);
    if (!upstream.write(chunk)) {
      stream.pause();
      upstream.once('drain', () => stream.resume());
    }
  });
  const onEnd = (): void => {
    upstream.end();
    tap.requestPassed();
  };
  // Node.js ends an empty request at once, possibly while the call is still waiting for the connection to the runtime.
  if (stream.readableEnded) onEnd();
  else stream.on('end', onEnd);
}

function passAnswer(
  { stream, tap, runtime }: IncomingCall,
  upstream: ClientHttp2Stream,
  { filter }: RelayOptions,
  close: (by: EndedBy, reset: number | undefined) => void,
): void {
  let trailers: RawHeaders = [];
  let isCut = false;
  const cutOff = (): void => {
    // The tap learns the cause before the reset, because a stream that closes first looks as if the client had closed it.
    close('proxy', constants.NGHTTP2_INTERNAL_ERROR);
    stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  };
  upstream.on('response', (_headers: unknown, flags: number, raw: RawHeaders) => {
    tap.responseHeaders(raw);
    const isAll = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    if (stream.destroyed || stream.closed) return;
    stream.respond(outgoing(raw), { endStream: isAll, waitForTrailers: !isAll, ...WITHOUT_DATE });
  });
  upstream.on('trailers', (_headers: unknown, _flags: number, raw: RawHeaders) => (trailers = raw));
  stream.on('wantTrailers', () => {
    if (!isCut) stream.sendTrailers(outgoing(trailers));
  });
  upstream.on('data', (chunk: Buffer) => {
    if (isCut) return;
    const { pass, cut } = filter?.(chunk) ?? { pass: chunk, cut: false };
    isCut = cut;
    if (pass.length > 0) {
      tap.responseBytes(pass);
      // The reset waits for this write, because it would overtake bytes that have not been written yet.
      const isRoom = stream.write(pass, () => {
        if (cut) cutOff();
      });
      if (!isRoom) {
        upstream.pause();
        stream.once('drain', () => upstream.resume());
      }
    } else if (cut) cutOff();
  });
  upstream.on('end', () => {
    if (isCut || upstream.rstCode !== constants.NGHTTP2_NO_ERROR || upstream.aborted) return;
    tap.answered(trailers);
    close('runtime', constants.NGHTTP2_NO_ERROR);
    if (!stream.destroyed && !stream.writableEnded) stream.end();
  });
  upstream.on('close', () => {
    const { rstCode } = upstream;
    if (isCut || (rstCode === constants.NGHTTP2_NO_ERROR && stream.writableEnded)) return;
    close('runtime', runtime.destroyed ? undefined : rstCode);
    // If the connection to the runtime has ended, the proxy also closes the client's connection, so the call needs no reset.
    if (!stream.closed && !runtime.destroyed)
      stream.close(rstCode === constants.NGHTTP2_NO_ERROR ? constants.NGHTTP2_CANCEL : rstCode);
  });
}

/**
 * Prevents the `date` field that Node.js adds to answers and no gRPC server sends. The typings of Node.js lack this option.
 */
const WITHOUT_DATE = { sendDate: false };

/** Answers the client with an error that does not come from the runtime. */
export function answerError(
  { stream, tap }: Pick<IncomingCall, 'stream' | 'tap'>,
  status: string,
  text: string,
): void {
  const headers = errorHeaders(status, text);
  stream.on('error', () => undefined);
  if (!stream.destroyed && !stream.closed) stream.respond(headers, { endStream: true, ...WITHOUT_DATE });
  // The rest of the request is read and dropped.
  stream.resume();
  tap.responseHeaders(Object.entries(headers).flatMap(([name, value]) => [name, String(value)]));
  tap.answered([]);
  tap.closed({ by: 'proxy', reset: constants.NGHTTP2_NO_ERROR });
}

/** A complete answer of the runtime, which can be kept, changed or passed on. */
export interface Answer {
  readonly headers: RawHeaders;
  readonly data: Buffer;
  /** Undefined if the status is in the headers. */
  readonly trailers: RawHeaders | undefined;
}

/**
 * Makes the call at the runtime and returns the answer, without passing it on to the client.
 * @returns undefined if the client went away or the runtime reset the call. The client's call is closed in this case.
 */
export async function collect(call: IncomingCall, body: Buffer): Promise<Answer | undefined> {
  const upstream = openUpstream(call);
  if (upstream === undefined) return undefined;
  const { stream, tap, runtime } = call;
  upstream.on('error', () => undefined);
  const onGone = (): void => upstream.close(constants.NGHTTP2_CANCEL);
  stream.once('close', onGone);
  upstream.end(body);
  tap.requestPassed();
  let headers: RawHeaders = [];
  let trailers: RawHeaders | undefined;
  const chunks: Buffer[] = [];
  upstream.on('response', (_headers: unknown, _flags: number, raw: RawHeaders) => (headers = raw));
  upstream.on('trailers', (_headers: unknown, _flags: number, raw: RawHeaders) => (trailers = raw));
  upstream.on('data', (chunk: Buffer) => chunks.push(chunk));
  await new Promise<void>((resolve) => upstream.once('close', resolve));
  stream.off('close', onGone);
  const isGone = stream.destroyed || stream.closed;
  if (headers.length > 0 && upstream.rstCode === constants.NGHTTP2_NO_ERROR && !isGone)
    return { headers, data: Buffer.concat(chunks), trailers };
  tap.closed(
    isGone
      ? { by: 'client', reset: stream.rstCode }
      : { by: 'runtime', reset: runtime.destroyed ? undefined : upstream.rstCode },
  );
  if (!isGone && !runtime.destroyed) stream.close(upstream.rstCode || constants.NGHTTP2_CANCEL);
  return undefined;
}

/** Sends the client an answer of `collect`. */
export function deliver({ stream, tap }: IncomingCall, { headers, data, trailers }: Answer): void {
  if (stream.destroyed || stream.closed) {
    tap.closed({ by: 'client', reset: stream.rstCode });
    return;
  }
  stream.on('error', () => undefined);
  const isAll = trailers === undefined && data.length === 0;
  stream.respond(outgoing(headers), { endStream: isAll, waitForTrailers: !isAll, ...WITHOUT_DATE });
  tap.responseHeaders(headers);
  if (!isAll) {
    stream.once('wantTrailers', () => stream.sendTrailers(outgoing(trailers ?? [])));
    stream.end(data);
    tap.responseBytes(data);
  }
  tap.answered(trailers ?? []);
  tap.closed({ by: 'runtime', reset: constants.NGHTTP2_NO_ERROR });
}
