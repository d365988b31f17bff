/**
 * The only error type that crosses dockbridge's layers. `code` is the name of a gRPC status. The call wrapper
 * (src/server/call.ts) turns it into the status of the answer. Messages appear in kubelet events, so they must be short and
 * plain and name the next step.
 */
export type ErrorCode =
  | 'CANCELLED'
  | 'UNKNOWN'
  | 'INVALID_ARGUMENT'
  | 'DEADLINE_EXCEEDED'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'PERMISSION_DENIED'
  | 'RESOURCE_EXHAUSTED'
  | 'FAILED_PRECONDITION'
  | 'ABORTED'
  | 'UNIMPLEMENTED'
  | 'INTERNAL'
  | 'UNAVAILABLE'
  | 'UNAUTHENTICATED';

export class RuntimeError extends Error {
  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
    this.name = 'RuntimeError';
  }
}

type Maker = (message: string, options?: { cause?: unknown }) => RuntimeError;

const maker =
  (code: ErrorCode): Maker =>
  (message, options) =>
    new RuntimeError(code, message, options);

export const notFound = maker('NOT_FOUND');
export const alreadyExists = maker('ALREADY_EXISTS');
export const failedPrecondition = maker('FAILED_PRECONDITION');
export const unavailable = maker('UNAVAILABLE');
export const deadlineExceeded = maker('DEADLINE_EXCEEDED');
export const cancelled = maker('CANCELLED');
export const internal = maker('INTERNAL');

/** Makes the error for a request field that violates CRI's rules. The message always starts with the field's path. */
export function invalidArgument(field: string, why: string): RuntimeError {
  return new RuntimeError('INVALID_ARGUMENT', `${field}: ${why}`);
}

/**
 * Makes the error for a valid request field that this version of dockbridge or Docker cannot fulfil. Such fields are refused,
 * never silently ignored.
 */
export function unsupported(field: string, why: string): RuntimeError {
  return new RuntimeError('UNIMPLEMENTED', `${field}: ${why}`);
}

export function hasCode(error: unknown, code: ErrorCode): boolean {
  return error instanceof RuntimeError && error.code === code;
}

/**
 * Returns the message of anything that was thrown. Never throws, although some thrown values cannot be converted to a string.
 */
export function messageOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error);
  } catch {
    return 'an error that cannot be printed';
  }
}

/** Returns the errno name (`ENOENT`, …) of a Node system error; undefined for anything else. */
export function errnoOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
