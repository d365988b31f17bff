import type { OutgoingHttpHeaders } from 'node:http2';
import { valueOf, type RawHeaders } from './raw-headers';

/** The names of gRPC's codes. The index of a name is its number. */
export const CODES = [
  ...['OK', 'CANCELLED', 'UNKNOWN', 'INVALID_ARGUMENT', 'DEADLINE_EXCEEDED', 'NOT_FOUND', 'ALREADY_EXISTS'],
  ...['PERMISSION_DENIED', 'RESOURCE_EXHAUSTED', 'FAILED_PRECONDITION', 'ABORTED', 'OUT_OF_RANGE'],
  ...['UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS', 'UNAUTHENTICATED'],
] as readonly string[];

/** The outcome of a call. */
export interface CallStatus {
  readonly status: string;
  /** The text of an error. */
  readonly details?: string;
  /** `grpc-status-details-bin` as it was on the wire: base64. */
  readonly detailsBin?: string;
}

/** Returns the status in trailers, or in the headers of an answer without a message; undefined if there is none. */
export function statusIn(raw: RawHeaders): CallStatus | undefined {
  const number = valueOf(raw, 'grpc-status');
  if (number === undefined) return undefined;
  const status = CODES[Number(number)] ?? `CODE_${number}`;
  // grpc-js also sends a text with OK. The text is ignored.
  const details = status === 'OK' ? '' : decoded(valueOf(raw, 'grpc-message') ?? '');
  const detailsBin = valueOf(raw, 'grpc-status-details-bin');
  return {
    status,
    ...(details === '' ? {} : { details }),
    ...(detailsBin === undefined ? {} : { detailsBin }),
  };
}

/** Returns the headers of an answer that consists only of an error. */
export function errorHeaders(status: string, details: string): OutgoingHttpHeaders {
  return {
    ':status': 200,
    'content-type': 'application/grpc',
    'grpc-status': String(CODES.indexOf(status)),
    'grpc-message': encoded(details),
  };
}

/** Encodes a text as gRPC requires: the percent sign and all bytes that are not between space and tilde are escaped. */
function encoded(text: string): string {
  return text.replace(/[^ -$&-~]+/g, (strange) =>
    [...Buffer.from(strange)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}

/** Decodes gRPC's percent-encoding. A text with an invalid escape stays as it is. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
