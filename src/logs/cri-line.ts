/** `2026-11-22T03:55:00.123456789Z`: nine fractional digits, as containerd writes them; they sort as text. */
const TIMESTAMP_BYTES = 30;
/** Timestamp, blank, stream (both names have six letters), blank, tag, blank. */
export const HEADER_BYTES = TIMESTAMP_BYTES + 10;

const STDOUT = Buffer.from(' stdout F ');
const STDERR = Buffer.from(' stderr F ');
const PARTIAL = 0x50;
const ZERO = 0x30;
const DOT = 0x2e;
const ZED = 0x5a;
/** `2026-11-22T03:55:00`, the part before the fraction. */
const SECONDS_BYTES = 19;

/**
 * Writes the header of a CRI log line (docs/logs.md) at `target[to]`. The time is Docker's own text between
 * `from` and `until`; false when it is not UTC in RFC 3339 with at most nine digits: such times are kept as given.
 */
export function writeHeader(
  source: Uint8Array,
  from: number,
  until: number,
  isStderr: boolean,
  isPartial: boolean,
  target: Uint8Array,
  to: number,
): boolean {
  const length = until - from;
  if (length > TIMESTAMP_BYTES || length < SECONDS_BYTES + 1 || source[until - 1] !== ZED) return false;
  const digits = length - 1;
  for (let index = 0; index < digits; index++) target[to + index] = source[from + index] ?? 0;
  if (digits === SECONDS_BYTES) target[to + digits] = DOT;
  else if (target[to + SECONDS_BYTES] !== DOT) return false;
  for (let index = Math.max(digits, SECONDS_BYTES + 1); index < TIMESTAMP_BYTES - 1; index++) {
    target[to + index] = ZERO;
  }
  target[to + TIMESTAMP_BYTES - 1] = ZED;
  const middle = isStderr ? STDERR : STDOUT;
  for (let index = 0; index < 10; index++) target[to + TIMESTAMP_BYTES + index] = middle[index] ?? 0;
  if (isPartial) target[to + HEADER_BYTES - 2] = PARTIAL;
  return true;
}

/** Docker's time with nine digits; any other form is returned as it is (RFC 3339 allows it). */
export function padTimestamp(time: string): string {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/.exec(time);
  return match?.[1] === undefined ? time : `${match[1]}.${(match[2] ?? '').padEnd(9, '0')}Z`;
}

/** The note at the start of a log that goes back only so far. */
export const EARLIER_ELSEWHERE =
  'earlier output is not in this file; what Docker still has of it, `docker logs` shows';

/** A line of our own in a container's log: stderr, complete, recognisable by its first word. */
export function formatNote(text: string, now: Date): Buffer {
  return Buffer.from(`${padTimestamp(now.toISOString())} stderr F dockbridge: ${text}\n`);
}
