import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  type sendUnaryData,
  type ServerUnaryCall,
  type ServerWritableStream,
  status,
} from '@grpc/grpc-js';
import { abortable } from '../lib/async/abortable';
import { sharedAbortController } from '../lib/async/deadline';
import type { WorkGate } from '../lib/async/stopping';
import { cancelled, type ErrorCode, hasCode, invalidArgument, messageOf, RuntimeError } from '../lib/errors';
import type { LogFields, Logger } from '../lib/logger';
import { NO_TRACER, type Tracer } from '../lib/tracer';
import { type Encoded, MalformedMessage } from '../proto/service';
import { putOutcome, servedCall, type TracedCall } from './call-span';
import type { CallContext } from './services';

/** One finished call, for metrics. */
export interface CallReport {
  readonly method: string;
  readonly code: ErrorCode | 'OK';
  readonly seconds: number;
}

export interface WrapOptions {
  readonly logger: Logger;
  /** Runs before the handler. An error that it throws is the answer. */
  readonly before: ((context: CallContext) => Promise<void>) | undefined;
  readonly observe: (report: CallReport) => void;
  /** Knows which calls are in progress; it is never closed. */
  readonly calls: WorkGate;
  /** By default calls are not traced. */
  readonly tracer?: Tracer | undefined;
}

/** A stream ends only when its client ends it; `closing` ends it when this server stops. */
export interface StreamOptions extends WrapOptions {
  readonly closing: AbortSignal;
}

/** The messages of a stream. A message is already encoded if its size had to be known. */
export type Messages<Response> = AsyncIterable<Response | Encoded> | Iterable<Response | Encoded>;

type Handler<Request, Result> = (request: Request, context: CallContext) => Result;

/**
 * The one way from grpc-js to a handler. grpc-js never answers a handler that rejects, so everything passes here:
 * cancellation and deadline become the context's signal, typed errors become status codes, anything unexpected is
 * INTERNAL and logged with its stack. The callback is always called, exactly once.
 */
export function wrapUnary<Request, Response>(
  method: string,
  handler: Handler<Request, Promise<Response>>,
  options: WrapOptions,
): handleUnaryCall<Request | MalformedMessage, Response> {
  return (call, callback) => {
    void answer(method, handler, options, call, callback);
  };
}

/**
 * The same for a method that streams. One message is under way at a time: the handler is asked for the next one when
 * the client's window has taken the last. The response's headers tell the client that the handler is at work; a handler
 * that watches something therefore begins when it is called, not with the first message.
 */
export function wrapStream<Request, Response>(
  method: string,
  handler: Handler<Request, Messages<Response>>,
  options: StreamOptions,
): handleServerStreamingCall<Request | MalformedMessage, Response | Encoded> {
  return (call) => {
    void stream(method, handler, options, call);
  };
}

async function answer<Request, Response>(
  method: string,
  handler: Handler<Request, Promise<Response>>,
  options: WrapOptions,
  call: ServerUnaryCall<Request | MalformedMessage, Response>,
  callback: sendUnaryData<Response>,
): Promise<void> {
  await observed(method, options, call, async () => {
    const controller = cancellationOf(call);
    try {
      const request = wellFormed(call.request);
      const context = { signal: controller.signal };
      await options.before?.(context);
      const response = await handler(request, context);
      callback(null, response);
      return { code: 'OK', about: () => callSubject(request, response) };
    } catch (error) {
      const failure = asRuntimeError(error, method, options.logger);
      callback(toStatus(failure));
      return failed(failure, call.request);
    }
  });
}

async function stream<Request, Response>(
  method: string,
  handler: Handler<Request, Messages<Response>>,
  options: StreamOptions,
  call: ServerWritableStream<Request | MalformedMessage, Response | Encoded>,
): Promise<void> {
  await observed(method, options, call, async () => {
    const { closing } = options;
    const controller = cancellationOf(call);
    const onClosing = (): void => controller.abort(closing.reason);
    closing.addEventListener('abort', onClosing, { once: true });
    try {
      const { signal } = controller;
      const request = wellFormed(call.request);
      await options.before?.({ signal });
      signal.throwIfAborted();
      const messages = handler(request, { signal });
      // Sent after the handler has begun, so the client misses nothing that happens after it has seen the headers.
      call.sendMetadata(new Metadata());
      for await (const message of messages) await abortable(written(call, message), signal);
      call.end();
      return { code: 'OK', about: () => callSubject(request) };
    } catch (error) {
      const failure = asRuntimeError(error, method, options.logger);
      call.emit('error', toStatus(failure));
      return failed(failure, call.request);
    } finally {
      closing.removeEventListener('abort', onClosing);
    }
  });
}

/** grpc-js emits `cancelled` both when the client cancels and when the deadline has passed. */
function cancellationOf(call: { on(event: 'cancelled', listener: () => void): unknown }): AbortController {
  const controller = sharedAbortController();
  call.on('cancelled', () =>
    controller.abort(cancelled('the client cancelled the call or its deadline passed')),
  );
  return controller;
}

function wellFormed<Request>(request: Request | MalformedMessage): Request {
  if (request instanceof MalformedMessage)
    throw invalidArgument('request', `cannot be decoded: ${request.why}`);
  return request;
}

function written<Message>(call: ServerWritableStream<unknown, Message>, message: Message): Promise<void> {
  return new Promise((resolve, reject) => {
    call.write(message, (error: Error | null | undefined) => {
      if (error === null || error === undefined) resolve();
      else reject(error);
    });
  });
}

interface Outcome {
  readonly code: CallReport['code'];
  /** Called only if the line is logged or the span recorded. */
  readonly about: () => LogFields;
}

function failed({ code, message }: RuntimeError, request: unknown): Outcome {
  return { code, about: () => ({ ...callSubject(request), error: message }) };
}

async function observed(
  method: string,
  options: WrapOptions,
  call: TracedCall & { readonly request: unknown },
  work: () => Promise<Outcome>,
): Promise<void> {
  const started = process.hrtime.bigint();
  const { code, about } = await (options.tracer ?? NO_TRACER).serve(
    () => servedCall(call),
    async (span) => {
      const outcome = await options.calls.run(method, work, () => callSubject(call.request));
      putOutcome(span, outcome.code, outcome.about);
      return outcome;
    },
  );
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  options.observe({ method, code, seconds });
  options.logger.debug(
    () => 'Call',
    () => ({ method, code, ms: Math.round(seconds * 1000), ...about() }),
  );
}

/** In characters; kubelet's events show about half of that. */
const MAX_DETAILS = 2_000;

/** Turns what a handler threw into the client's error. Unexpected errors are logged with their stack. */
function asRuntimeError(error: unknown, method: string, logger: Logger): RuntimeError {
  if (error instanceof RuntimeError) {
    if (hasCode(error, 'INTERNAL'))
      logger.error('Call failed', { method, error: error.message, stack: error.stack });
    return error;
  }
  const stack = error instanceof Error ? error.stack : undefined;
  const message = messageOf(error);
  logger.error('Call failed unexpectedly: this is a bug', { method, error: message, stack });
  return new RuntimeError('INTERNAL', `${method}: unexpected error: ${message}`, { cause: error });
}

/** The form that grpc-js expects. */
function toStatus(failure: RuntimeError): { code: status; details: string } {
  return { code: status[failure.code], details: toDetails(failure.message) };
}

/**
 * The text travels in a trailer: clients limit those, and grpc-js never ends a call whose text is too long for one or
 * holds half a surrogate pair.
 */
function toDetails(message: string): string {
  const text = message.length > MAX_DETAILS ? `${message.slice(0, MAX_DETAILS)}…` : message;
  return Buffer.from(text, 'utf8').toString('utf8');
}

type Fields = Readonly<Record<string, unknown>>;

/**
 * The objects that a call is about, under the keys of docs/logging.md. With them a reader can follow a pod from its name to its
 * sandbox and its containers.
 *
 * @param messages the request, and the answer if there is one: RunPodSandbox and CreateContainer return the id in it.
 */
export function callSubject(...messages: readonly unknown[]): LogFields {
  const subject: Record<string, string> = {};
  const put = (key: string, value: unknown): void => {
    if (typeof value === 'string' && value !== '') subject[key] = value;
  };
  for (const message of messages.map(fieldsOf)) {
    put('sandbox', message.pod_sandbox_id);
    put('container', message.container_id);
    put('image', fieldsOf(message.image).image);
    for (const { name, namespace } of [metadataOf(message.sandbox_config), metadataOf(message.config)]) {
      // The metadata of a container has no namespace.
      if (typeof namespace === 'string') put('pod', `${namespace}/${String(name)}`);
      else put('name', name);
    }
  }
  return subject;
}

function metadataOf(config: unknown): Fields {
  return fieldsOf(fieldsOf(config).metadata);
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}
