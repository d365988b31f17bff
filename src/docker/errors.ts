import { errnoOf, messageOf, RuntimeError, type ErrorCode } from '../lib/errors';

/** A refusal by the Engine, with its HTTP status. */
export class EngineError extends RuntimeError {
  constructor(
    code: ErrorCode,
    readonly statusCode: number,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(code, message, options);
    this.name = 'EngineError';
  }
}

const CODE_OF_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  409: 'FAILED_PRECONDITION',
  429: 'RESOURCE_EXHAUSTED',
  501: 'UNIMPLEMENTED',
  502: 'UNAVAILABLE',
  503: 'UNAVAILABLE',
  504: 'UNAVAILABLE',
};

/** Errno names which mean that no Engine answers at the other end of the socket. */
const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOENT',
  'EPIPE',
  'EACCES',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/**
 * Converts a rejection of dockerode to a RuntimeError. The code depends on HTTP status and errno, never on the error's
 * text.
 */
export function toRuntimeError(error: unknown, signal?: AbortSignal): RuntimeError {
  if (error instanceof RuntimeError) return error;
  if (signal?.aborted === true && signal.reason instanceof RuntimeError) return signal.reason;
  const status = statusCodeOf(error);
  if (status !== undefined) {
    return new EngineError(CODE_OF_STATUS[status] ?? 'UNKNOWN', status, engineMessage(error, status), {
      cause: error,
    });
  }
  const errno = errnoOf(error);
  if (errno !== undefined && UNREACHABLE.has(errno)) {
    return new RuntimeError('UNAVAILABLE', `Docker Engine does not answer (${errno}): is dockerd running?`, {
      cause: error,
    });
  }
  return new RuntimeError('UNKNOWN', messageOf(error), { cause: error });
}

export function hasStatus(error: unknown, statusCode: number): boolean {
  return error instanceof EngineError && error.statusCode === statusCode;
}

function statusCodeOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('statusCode' in error)) return undefined;
  return typeof error.statusCode === 'number' ? error.statusCode : undefined;
}

/**
 * Returns the Engine's text. dockerode writes "(HTTP code 404) no such container - TEXT ", and only TEXT is useful in
 * kubelet's events.
 */
function engineMessage(error: unknown, status: number): string {
  const text = messageOf(error).replace(/^\(HTTP code \d+\) .*? - /, '');
  return text.trim() || `Docker Engine answers HTTP ${status} without a reason`;
}
