import type { OutgoingHttpHeaders } from 'node:http2';
import { valueOf, type RawHeaders } from './raw-headers';

/** gRPC's codes, each at its number. */
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

/** Reads a status out of trailers, or of the headers of an answer without a message; undefined if there is none. */
export function statusIn(raw: RawHeaders): CallStatus | undefined {
  const number = valueOf(raw, 'grpc-status');
  if (number === undefined) return undefined;
  const status = CODES[Number(number)] ?? `CODE_${number}`;
  // grpc-js sends the text OK as well.
  const details = status === 'OK' ? '' : decoded(valueOf(raw, 'grpc-message') ?? '');
  const detailsBin = valueOf(raw, 'grpc-status-details-bin');
  return {
    status,
    ...(details === '' ? {} : { details }),
    ...(detailsBin === undefined ? {} : { detailsBin }),
  };
}

/** An answer that is only an error, without a message. */
export function errorHeaders(status: string, details: string): OutgoingHttpHeaders {
  return {
    ':status': 200,
    'content-type': 'application/grpc',
    'grpc-status': String(CODES.indexOf(status)),
    'grpc-message': encoded(details),
  };
}

/** As gRPC demands: all bytes but those from space to tilde, and the percent sign itself. Clients leave other escapes as they are. */
function encoded(text: string): string {
  return text.replace(/[^ -$&-~]+/g, (strange) =>
    [...Buffer.from(strange)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}

/** Decodes gRPC's percent-encoding; a text that is not encoded so stays as it is. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
