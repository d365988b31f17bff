import { status, type handleUnaryCall, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';
import { sharedAbortController } from '../lib/deadline';
import { cancelled, hasCode, invalidArgument, messageOf, RuntimeError, type ErrorCode } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { MalformedMessage } from '../proto/service';
import type { CallContext } from './services';

/** Characters; kubelet's events show about half of that. */
const MAX_DETAILS = 2_000;

/** One finished call, for metrics. */
export interface CallReport {
  readonly method: string;
  readonly code: ErrorCode | 'OK';
  readonly seconds: number;
}

export interface WrapOptions {
  readonly logger: Logger;
  /** Runs before the handler; what it throws is the answer. */
  readonly before: ((context: CallContext) => Promise<void>) | undefined;
  readonly observe: (report: CallReport) => void;
}

/**
 * The one way from grpc-js to a handler. grpc-js never answers a handler that rejects, so everything passes here:
 * cancellation and deadline become the context's signal, typed errors become status codes, anything unexpected is
 * INTERNAL and logged with its stack. The callback is always called, exactly once.
 */
export function wrapUnary<Request, Response>(
  method: string,
  handler: (request: Request, context: CallContext) => Promise<Response>,
  options: WrapOptions,
): handleUnaryCall<Request | MalformedMessage, Response> {
  return (call, callback) => {
    void answer(method, handler, options, call, callback);
  };
}

async function answer<Request, Response>(
  method: string,
  handler: (request: Request, context: CallContext) => Promise<Response>,
  options: WrapOptions,
  call: ServerUnaryCall<Request | MalformedMessage, Response>,
  callback: sendUnaryData<Response>,
): Promise<void> {
  const started = process.hrtime.bigint();
  const controller = sharedAbortController();
  // Emitted for the client's cancel and for a passed deadline alike: nobody waits for an answer any more.
  call.on('cancelled', () =>
    controller.abort(cancelled('the client cancelled the call or its deadline passed')),
  );
  let code: CallReport['code'] = 'OK';
  try {
    const { request } = call;
    if (request instanceof MalformedMessage)
      throw invalidArgument('request', `cannot be decoded: ${request.why}`);
    const context = { signal: controller.signal };
    await options.before?.(context);
    const response = await handler(request, context);
    callback(null, response);
  } catch (error) {
    const failure = asRuntimeError(error, method, options.logger);
    code = failure.code;
    callback({ code: status[failure.code], details: toDetails(failure.message) });
  }
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  options.observe({ method, code, seconds });
  options.logger.debug(
    () => 'Call',
    () => ({ method, code, ms: Math.round(seconds * 1000) }),
  );
}

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

/**
 * The text travels in a trailer: clients limit those, and grpc-js never ends a call whose text is too long for one or
 * holds half a surrogate pair.
 */
function toDetails(message: string): string {
  const text = message.length > MAX_DETAILS ? `${message.slice(0, MAX_DETAILS)}…` : message;
  return Buffer.from(text, 'utf8').toString('utf8');
}
