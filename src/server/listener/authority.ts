import type { HeaderField } from '../../lib/http2/header-fields';

/** What every CRI client since Kubernetes 1.31 sends. */
const REPAIRED = 'localhost';

/**
 * The characters nghttp2 allows in :authority and host (tried byte by byte against Node 20.20, nghttp2 1.61): RFC 3986
 * authority without its grammar, so `%`, `[::1` and `user@` pass, but no `/`, no space, no byte above 0x7e, and not the
 * empty string. A stream with any other value is reset with PROTOCOL_ERROR before a handler sees it; so is one with
 * neither of the two fields, or with either of them twice. (`host` is judged more mildly beside a good :authority;
 * we are as strict in both cases: repairing a good request does no harm.)
 */
const VALID = /^[!$%&'()*+,\-.0-9:;=@A-Z[\]_a-z~]+$/;

/** True when nghttp2 would, or might, refuse the request for its authority. Trailers are never repaired. */
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

/** The same fields with one good authority; trailers stay as they are. */
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
