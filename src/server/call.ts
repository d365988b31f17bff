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
  /** Runs before the handler. An error that it throws becomes the answer. */
  readonly before: ((context: CallContext) => Promise<void>) | undefined;
  readonly observe: (report: CallReport) => void;
  /** Knows which calls are in progress. This gate is never closed. */
  readonly calls: WorkGate;
  /** By default, calls are not traced. */
  readonly tracer?: Tracer | undefined;
}

export interface StreamOptions extends WrapOptions {
  /** Cuts off the stream. It fires when the server stops. */
  readonly closing: AbortSignal;
}

/** The messages of a stream. A message is already encoded if its size had to be known. */
export type Messages<Response> = AsyncIterable<Response | Encoded> | Iterable<Response | Encoded>;

type Handler<Request, Result> = (request: Request, context: CallContext) => Result;

/**
 * Connects grpc-js with a handler. Every handler is wrapped, because grpc-js never answers when a handler rejects.
 * Cancellation and deadline become the context's signal, and typed errors become status codes. Any other error becomes
 * INTERNAL and is logged with its stack. The callback is always called exactly once.
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
 * Connects grpc-js with the handler of a streaming method, under the same rules as wrapUnary. One message is under way at a
 * time: the next message is requested from the handler when the client's flow-control window has taken the previous one. The
 * response's headers tell the client that the handler is at work. A handler that watches something must therefore begin to
 * watch when it is called, and not when the first message is requested.
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
      // The headers are sent after the handler has begun, so a client that has seen them misses nothing that happens
      // later.
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

/**
 * Returns a controller that aborts when the call is cancelled. grpc-js emits `cancelled` both for the client's
 * cancellation and when the deadline has passed.
 */
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
  /** Called only if the line is logged or the span is recorded. */
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

/** Maximal length of an error text in characters. kubelet's events show about half of it. */
const MAX_DETAILS = 2_000;

/** Converts an error of a handler to the error for the client. Unexpected errors are logged with their stack. */
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

/** Returns the form of an error that grpc-js expects. */
function toStatus(failure: RuntimeError): { code: status; details: string } {
  return { code: status[failure.code], details: toDetails(failure.message) };
}

/**
 * Shortens an error text for the trailer. Clients limit the size of trailers, and grpc-js never ends a call whose text
 * exceeds this limit or contains half of a surrogate pair.
 */
function toDetails(message: string): string {
  const text = message.length > MAX_DETAILS ? `${message.slice(0, MAX_DETAILS)}…` : message;
  return Buffer.from(text, 'utf8').toString('utf8');
}

type Fields = Readonly<Record<string, unknown>>;

/**
 * Returns the names and ids of the objects that a call concerns, under the keys of docs/logging.md. With them, a reader
 * of the log can follow a pod from its name to its sandbox and its containers.
 *
 * @param messages the request and, if there is one, the answer, because RunPodSandbox and CreateContainer return the id
 * in it.
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
