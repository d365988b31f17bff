import {
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type ServerHttp2Stream,
} from 'node:http2';
import { errnoOf, messageOf } from '../../lib/errors';
import { outgoing, type RawHeaders } from './raw-headers';
import { errorHeaders } from './status';

/** Who ended a call that has no status of the runtime. */
export type EndedBy = 'client' | 'runtime' | 'proxy';

export interface CallClosed {
  readonly by: EndedBy;
  /** The HTTP/2 error code of a call that was cut; undefined if it ended with its whole connection. */
  readonly reset: number | undefined;
}

/** Looks on while one call passes. Nothing here may throw or wait. */
export interface CallTap {
  /** The call's number in the tape; undefined without one. */
  readonly n: number | undefined;
  requestBytes(chunk: Buffer): void;
  /** The request is complete and was passed on. */
  requestPassed(): void;
  responseHeaders(raw: RawHeaders): void;
  responseBytes(chunk: Buffer): void;
  /** The runtime has ended its answer; `trailers` is empty if the status was in the headers. */
  answered(trailers: RawHeaders): void;
  /** Called once and last. */
  closed(end: CallClosed): void;
}

/** A call that came in. */
export interface IncomingCall {
  readonly path: string;
  readonly headers: RawHeaders;
  readonly stream: ServerHttp2Stream;
  /** The connection to the runtime that belongs to the client's. */
  readonly runtime: ClientHttp2Session;
  readonly tap: CallTap;
  /** Closes the client's connection without a word, with all its calls. */
  readonly drop: () => void;
  /** For what a person should know of it. */
  readonly warn: (text: string) => void;
}

/** Changes an answer on its way; `cut` resets the call (INTERNAL_ERROR) after these bytes, and what comes after them is not passed on. */
export type ResponseFilter = (chunk: Buffer) => { readonly pass: Buffer; readonly cut: boolean };

export interface RelayOptions {
  /** The request's bytes, if they were read already; else they pass as they come. */
  readonly body?: Buffer;
  readonly filter?: ResponseFilter;
}

/**
 * Passes one call on, in both directions: header fields, bytes, trailers, resets. Nothing is decoded or encoded anew, so
 * deadlines (a header), compression, metadata, details of a status and methods that we do not know pass as they are.
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
  // A client that goes away cancels its call; the runtime learns the same code.
  stream.on('close', () => {
    close('client', stream.rstCode);
    if (!upstream.closed) upstream.close(stream.rstCode || constants.NGHTTP2_CANCEL);
  });
  sendRequest(call, upstream, options.body);
  passAnswer(call, upstream, options, close);
}

/** What `request` throws when the connection takes no more calls: after GOAWAY, when it is closed, when its numbers are used up. */
const TAKES_NO_MORE: ReadonlySet<string> = new Set([
  ...['ERR_HTTP2_GOAWAY_SESSION', 'ERR_HTTP2_INVALID_SESSION', 'ERR_HTTP2_OUT_OF_STREAMS'],
]);

/**
 * Opens the same call at the runtime. If the runtime takes no more calls on this connection, refuses the call, so that the client
 * repeats it on a new one. If the call cannot be made at all, for example because Node does not send its header fields, fails it.
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
    // First, for the reset closes the stream, which would look like the client's doing.
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
  // Node ends a request without a byte at once, also while the call waits for the connection to the runtime.
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
    // This comes first, because the reset closes the stream, which would look as if the client had done it.
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
      // A reset overtakes what is not written yet.
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
    // If the connection to the runtime has ended, the client's ends too, which says more than a reset.
    if (!stream.closed && !runtime.destroyed)
      stream.close(rstCode === constants.NGHTTP2_NO_ERROR ? constants.NGHTTP2_CANCEL : rstCode);
  });
}

/**
 * Node's server adds a `date` field to its answers, which no gRPC server does. Its typings lack the option that prevents this.
 */
const WITHOUT_DATE = { sendDate: false };

/** Answers the client with an error of our own. */
export function answerError(
  { stream, tap }: Pick<IncomingCall, 'stream' | 'tap'>,
  status: string,
  text: string,
): void {
  const headers = errorHeaders(status, text);
  stream.on('error', () => undefined);
  if (!stream.destroyed && !stream.closed) stream.respond(headers, { endStream: true, ...WITHOUT_DATE });
  // What the client may still be sending is dropped.
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
 * Makes the call at the runtime, and keeps the answer from the client.
 * @returns undefined if the client went away or the runtime reset the call; the client's call is closed then.
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

/** Gives the client an answer that was collected. */
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
