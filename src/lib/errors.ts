/**
 * The one error type that crosses our layers. `code` is a gRPC status name; the call wrapper turns it into the
 * status at the edge (src/server/call.ts). Messages end up in kubelet events: short, human, with the next step.
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

/** For a request field that breaks the CRI's rules. The message always starts with the field's path. */
export function invalidArgument(field: string, why: string): RuntimeError {
  return new RuntimeError('INVALID_ARGUMENT', `${field}: ${why}`);
}

/** For a valid request field that this version (or Docker) cannot honour. It is refused, never silently ignored. */
export function unsupported(field: string, why: string): RuntimeError {
  return new RuntimeError('UNIMPLEMENTED', `${field}: ${why}`);
}

export function hasCode(error: unknown, code: ErrorCode): boolean {
  return error instanceof RuntimeError && error.code === code;
}

/** Never throws, although some thrown values cannot be converted to a string. */
export function messageOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error);
  } catch {
    return 'an error that cannot be printed';
  }
}

/** Returns the errno name (`ENOENT`, …) of a Node system error, undefined for anything else. */
export function errnoOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
