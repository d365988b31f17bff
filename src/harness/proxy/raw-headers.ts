import type { OutgoingHttpHeaders } from 'node:http2';

/** Names and values of header fields in turn, as Node.js returns them: no fields are joined or reordered. */
export type RawHeaders = readonly string[];

/**
 * Returns the fields in the form that Node.js sends. A name that occurs twice gets a list, which is sent as two fields again. The header
 * object of Node.js would join the two values, which would change a `-bin` value.
 */
export function outgoing(raw: RawHeaders): OutgoingHttpHeaders {
  // The object has no prototype, because a field can be called `constructor`.
  const headers = Object.create(null) as OutgoingHttpHeaders;
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] ?? '';
    const value = raw[at + 1] ?? '';
    const before = headers[name];
    if (before === undefined) headers[name] = value;
    else headers[name] = Array.isArray(before) ? [...before, value] : [String(before), value];
  }
  return headers;
}

/** Returns the first value of a field, by its lower-case name. */
export function valueOf(raw: RawHeaders, name: string): string | undefined {
  const at = raw.findIndex((field, index) => index % 2 === 0 && field === name);
  return at < 0 ? undefined : raw[at + 1];
}

const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** Returns the call's deadline in ms from its start (the header `grpc-timeout`); undefined if it has none. */
export function deadlineMs(raw: RawHeaders): number | undefined {
  const [, number, unit = ''] = /^(\d{1,8})([HMSmun])$/.exec(valueOf(raw, 'grpc-timeout') ?? '') ?? [];
  return number === undefined ? undefined : Number(number) * (UNIT_MS[unit] ?? 0);
}
