import { status } from '@grpc/grpc-js';
import { hasCode, messageOf, RuntimeError } from '../lib/errors';
import type { Logger } from '../lib/logger';

/** Characters; kubelet's events show about half of that. */
const MAX_DETAILS = 2_000;

/** What a handler threw, as what the client is told; what it should not have thrown is logged with its stack. */
export function asRuntimeError(error: unknown, method: string, logger: Logger): RuntimeError {
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

/** As grpc-js wants it. */
export function toStatus(failure: RuntimeError): { code: status; details: string } {
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
