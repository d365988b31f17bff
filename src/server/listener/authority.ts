import type { HeaderField } from '../../lib/http2/header-fields';

/** The authority that every CRI client since Kubernetes 1.31 sends. */
const REPAIRED = 'localhost';

/**
 * The characters that nghttp2 allows in :authority and host, determined byte by byte with Node 20.20 and nghttp2 1.61.
 * An RFC 3986 authority has the same characters, but its grammar is not checked: `%`, `[::1` and `user@` are allowed. A `/`, a
 * space, a byte above 0x7e and the empty string are not. nghttp2 resets a stream with any other value with PROTOCOL_ERROR
 * before a handler sees it. The same happens when both fields are missing or one of them occurs twice. (nghttp2 is less
 * strict about `host` when :authority is valid. This expression is equally strict in both cases, because repairing a
 * valid request does no harm.)
 */
const VALID = /^[!$%&'()*+,\-.0-9:;=@A-Z[\]_a-z~]+$/;

/**
 * Whether nghttp2 would or might refuse the request because of its authority. False for trailers, which are never
 * repaired.
 */
export function needsRepair(fields: readonly HeaderField[]): boolean {
  if (!isRequest(fields)) return false;
  const authorities = fields.filter(isAuthority);
  const names = new Set(authorities.map((field) => field.name));
  return (
    authorities.length === 0 ||
    names.size !== authorities.length ||
    authorities.some((field) => !VALID.test(field.value))
  );
}

/** Returns the same fields with one valid authority. Trailers are returned unchanged. */
export function repaired(fields: readonly HeaderField[]): readonly HeaderField[] {
  if (!isRequest(fields)) return fields;
  return [{ name: ':authority', value: REPAIRED }, ...fields.filter((field) => !isAuthority(field))];
}

function isRequest(fields: readonly HeaderField[]): boolean {
  return fields.some((field) => field.name === ':method');
}

function isAuthority(field: HeaderField): boolean {
  return field.name === ':authority' || field.name === 'host';
}
