import type { OutgoingHttpHeaders } from 'node:http2';

/** Names and values in turn, as Node hands them over: nothing joined, nothing reordered. */
export type RawHeaders = readonly string[];

/**
 * The same fields in the form that Node sends: a name that occurs twice gets a list, which goes out as two fields again. Node's
 * own header object would join them, and a `-bin` value is changed by that.
 */
export function outgoing(raw: RawHeaders): OutgoingHttpHeaders {
  // A field may be called `constructor`.
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

/** The first value of a field, by its lower-case name. */
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

/** The call's deadline in ms from its start (the header `grpc-timeout`); undefined if it has none. */
export function deadlineMs(raw: RawHeaders): number | undefined {
  const [, number, unit = ''] = /^(\d{1,8})([HMSmun])$/.exec(valueOf(raw, 'grpc-timeout') ?? '') ?? [];
  return number === undefined ? undefined : Number(number) * (UNIT_MS[unit] ?? 0);
}
