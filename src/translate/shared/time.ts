import Long from 'long';

const NANOS_PER_MILLI = 1_000_000;
const NANOS_PER_SECOND = 1_000_000_000;

/** The beginning of the time that the Engine uses for "never", in year 1. In CRI, 0 means never. */
const ENGINE_ZERO = '0001-';

/** Converts a time of the Engine (RFC 3339 with up to nine fractional digits) to nanoseconds since the epoch. */
export function nanosFromEngineTime(time: string): Long {
  if (time === '' || time.startsWith(ENGINE_ZERO)) return Long.ZERO;
  const match = /^(.{19})(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(time);
  const millis = match ? Date.parse(`${match[1] ?? ''}${match[3] ?? ''}`) : NaN;
  if (Number.isNaN(millis)) return Long.ZERO;
  return nanosFromMillis(millis).add(Number((match?.[2] ?? '').padEnd(9, '0')));
}

/** Converts nanoseconds since the epoch to RFC 3339 in UTC with nine fractional digits. */
export function engineTimeFromNanos(nanos: Long): string {
  const seconds = nanos.div(NANOS_PER_SECOND);
  const fraction = nanos.sub(seconds.mul(NANOS_PER_SECOND)).toString().padStart(9, '0');
  return new Date(seconds.toNumber() * 1000).toISOString().replace(/\.\d+Z$/, `.${fraction}Z`);
}

/** Converts milliseconds since the epoch (Date.now) to nanoseconds. */
export function nanosFromMillis(millis: number): Long {
  return Long.fromNumber(millis).mul(NANOS_PER_MILLI);
}

/** Converts the `timeNano` of an event, which JSON.parse has rounded to a multiple of 256 ns. */
export function nanosFromNumber(nanos: number): Long {
  return Long.fromNumber(nanos);
}
