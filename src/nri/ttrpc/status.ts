import { type ErrorCode, messageOf, RuntimeError } from '../../lib/errors';

/** gRPC's numbers, which ttrpc uses for the status of an answer. */
const CODES: readonly (ErrorCode | 'OK' | 'OUT_OF_RANGE' | 'DATA_LOSS')[] = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
];

export interface Status {
  readonly code: number;
  readonly message: string;
}

export function statusOf(error: unknown): Status {
  const code = error instanceof RuntimeError ? error.code : 'UNKNOWN';
  return { code: CODES.indexOf(code), message: messageOf(error) };
}

/** An error that the other end has answered. The connection still works. */
export class AnsweredError extends RuntimeError {
  constructor({ code, message }: Status) {
    const name = CODES[code];
    super(
      name === undefined || name === 'OK' || name === 'OUT_OF_RANGE' || name === 'DATA_LOSS'
        ? 'UNKNOWN'
        : name,
      message,
    );
    this.name = 'AnsweredError';
  }
}
