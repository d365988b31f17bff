const NEWLINE = 0x0a;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LETTER_N = 0x6e;
const NATIVE_COPY_FROM = 48;

const LOG_FIELD = Buffer.from('{"log":"');
const STDOUT_FIELD = Buffer.from('","stream":"stdout",');
const STDERR_FIELD = Buffer.from('","stream":"stderr",');
const TIME = Buffer.from('"time":"');
const END = Buffer.from('"}\n');
/** Offset of the first byte in which the two possible stream fields (stdout, stderr) differ. */
const STREAM_LETTER = STDOUT_FIELD.indexOf('out');

export interface Translation {
  /** Number of source bytes that were consumed. They are always whole records. */
  consumed: number;
  /** Number of bytes written to the target. */
  written: number;
  records: number;
  /** Number of records that were not JSON. For each of them the target contains a note. */
  unreadable: number;
}

/**
 * Turns Docker's json-file records into CRI log lines. The fast path relies on the field order of moby's hand-written
 * marshaller (`log`, `stream`, `attrs`, `time`); records in any other form are parsed as JSON.
 */
export class RecordTranslator {
  private at = 0;
  private out = 0;

  constructor(
    private readonly source: Buffer,
    private readonly target: Buffer,
    private readonly now: () => Date = () => new Date(),
  ) {}

  /** Translates the complete records in the first `length` bytes of the source, as long as the target has room. */
  run(length: number): Translation {
    const result: Translation = { consumed: 0, written: 0, records: 0, unreadable: 0 };
    this.at = 0;
    this.out = 0;
    while (this.at < length) {
      if (!this.fast(length) && !this.slow(length, result)) break;
      result.records++;
      result.consumed = this.at;
      result.written = this.out;
    }
    return result;
  }

  private fast(length: number): boolean {
    const { source, target } = this;
    const start = this.at;
    // Except in the fallback, a CRI line is never longer than its record, so room for the rest of the source is enough.
    if (target.length - this.out < length - start + HEADER_BYTES) return false;
    if (!matches(source, start, LOG_FIELD)) return false;
    let from = start + LOG_FIELD.length;
    let to = this.out + HEADER_BYTES;
    let partial = true;
    let escape = source.indexOf(BACKSLASH, from);
    if (escape < 0) escape = length;
    let quote = source.indexOf(QUOTE, from);
    for (;;) {
      const end = Math.min(quote, escape);
      if (end < 0 || end >= length) return false;
      copy(source, from, end, target, to);
      to += end - from;
      from = end;
      if (quote < escape) break;
      if (source[escape + 1] === LETTER_N) {
        if (source[escape + 2] !== QUOTE) return false;
        partial = false;
        from = escape + 2;
        break;
      }
      const taken = escapeLength(source, escape);
      if (taken === 0) return false;
      to += unescapeAt(source, escape, target, to);
      from = escape + taken;
      if (quote < from) quote = source.indexOf(QUOTE, from);
      escape = source.indexOf(BACKSLASH, from);
      if (escape < 0) escape = length;
    }
    const isStderr = source[from + STREAM_LETTER] !== STDOUT_FIELD[STREAM_LETTER];
    if (!matches(source, from, isStderr ? STDERR_FIELD : STDOUT_FIELD)) return false;
    from += STDOUT_FIELD.length;
    if (!matches(source, from, TIME)) return false;
    from += TIME.length;
    let until = from;
    const limit = Math.min(from + 31, length);
    while (until < limit && source[until] !== QUOTE) until++;
    if (until + END.length > length || !matches(source, until, END)) return false;
    if (!writeHeader(source, from, until, isStderr, partial, target, this.out)) return false;
    target[to] = NEWLINE;
    this.out = to + 1;
    this.at = until + END.length;
    return true;
  }

  private slow(length: number, result: Translation): boolean {
    const end = this.source.indexOf(NEWLINE, this.at);
    if (end < 0 || end >= length) return false;
    const record = this.source.subarray(this.at, end);
    const translated = translateSlowly(record);
    const readable = translated !== undefined && translated.length <= this.target.length;
    const line = readable ? translated : this.unreadableNote(record.length);
    if (line.length > this.target.length - this.out) return false;
    if (!readable) result.unreadable++;
    line.copy(this.target, this.out);
    this.out += line.length;
    this.at = end + 1;
    return true;
  }

  private unreadableNote(bytes: number): Buffer {
    return formatNote(`a record of ${bytes} bytes in the Engine's log was unreadable`, this.now());
  }
}

function matches(source: Uint8Array, at: number, expected: Uint8Array): boolean {
  for (let index = 0; index < expected.length; index++) {
    if (source[at + index] !== expected[index]) return false;
  }
  return true;
}

function copy(source: Buffer, from: number, until: number, target: Buffer, to: number): void {
  if (until - from >= NATIVE_COPY_FROM) {
    source.copy(target, to, from, until);
    return;
  }
  for (let index = from; index < until; index++) target[to++] = source[index] ?? 0;
}

/**
 * The size of the input in bytes. Docker's longest record has about 100 KiB: 16 KiB of control characters, each escaped in six
 * bytes.
 */
const INPUT_BYTES = 256 * 1024;

/**
 * The pair of buffers that all copies of a thread share, so that memory grows neither with the number of containers nor with
 * their output.
 */
export class TranslationBuffers {
  readonly input: Buffer;
  readonly output: Buffer;
  private readonly translator: RecordTranslator;

  constructor(inputBytes = INPUT_BYTES) {
    this.input = Buffer.alloc(inputBytes);
    this.output = Buffer.alloc(inputBytes + HEADER_BYTES);
    this.translator = new RecordTranslator(this.input, this.output);
  }

  /** Translates the first `length` bytes of `input` into `output`. */
  translate(length: number): Translation {
    return this.translator.run(length);
  }
}

const START = '{"log":';

/**
 * Translates a spool record that does not have Docker's usual form because it contains surrogate pairs, another order of
 * fields, or line breaks. This is the slow path. Returns undefined when the record contains no JSON object. If the Engine died
 * while it wrote a record, the next record follows the torn half on the same line. In this case the last complete object of the
 * line is used.
 */
function translateSlowly(record: Buffer): Buffer | undefined {
  const text = record.toString('utf8');
  for (let at = text.lastIndexOf(START); ; at = text.lastIndexOf(START, at - 1)) {
    const parsed = parse(at <= 0 ? text : text.slice(at));
    if (parsed !== undefined) return Buffer.from(format(parsed), 'utf8');
    if (at <= 0) return undefined;
  }
}

interface SpoolRecord {
  readonly log: string;
  readonly stream: string;
  readonly time: string;
}

function parse(text: string): SpoolRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || !('time' in value)) return undefined;
  const log = 'log' in value ? value.log : '';
  const stream = 'stream' in value ? value.stream : 'stdout';
  if (typeof value.time !== 'string' || typeof log !== 'string') return undefined;
  return { log, stream: stream === 'stderr' ? 'stderr' : 'stdout', time: value.time };
}

function format(record: SpoolRecord): string {
  const header = `${padTimestamp(record.time)} ${record.stream} `;
  const lines = record.log.split('\n');
  const last = lines.pop() ?? '';
  const whole = lines.map((line) => `${header}F ${line}\n`).join('');
  return last === '' && lines.length > 0 ? whole : `${whole}${header}P ${last}\n`;
}

/** Returns the number that four hexadecimal digits stand for; -1 when the bytes are not such digits. */
function hexAt(source: Uint8Array, at: number): number {
  let value = 0;
  for (let index = at; index < at + 4; index++) {
    const byte = source[index] ?? 0;
    const digit =
      byte >= 0x30 && byte <= 0x39
        ? byte - 0x30
        : byte >= 0x61 && byte <= 0x66
          ? byte - 0x57
          : byte >= 0x41 && byte <= 0x46
            ? byte - 0x37
            : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

const SHORT = new Map<number, number>([
  [0x22, 0x22],
  [BACKSLASH, BACKSLASH],
  [0x2f, 0x2f],
  [0x62, 0x08],
  [0x66, 0x0c],
  [0x6e, 0x0a],
  [0x72, 0x0d],
  [0x74, 0x09],
]);

/**
 * Returns how many source bytes `unescapeAt` consumes for this escape; 0 if `unescapeAt` does not handle it, because it is a
 * surrogate or not an escape.
 */
function escapeLength(source: Uint8Array, at: number): number {
  const kind = source[at + 1] ?? 0;
  if (kind !== 0x75) return SHORT.has(kind) ? 2 : 0;
  const code = hexAt(source, at + 2);
  // Docker writes characters beyond the BMP as UTF-8, so escaped pairs of surrogates are rare. JSON.parse handles them.
  return code < 0 || (code >= 0xd800 && code <= 0xdfff) ? 0 : 6;
}

/**
 * Writes the UTF-8 bytes of the escape at `source[at]`, which `escapeLength` has checked. Returns the number of bytes written.
 */
function unescapeAt(source: Uint8Array, at: number, target: Uint8Array, to: number): number {
  const kind = source[at + 1] ?? 0;
  const code = kind === 0x75 ? hexAt(source, at + 2) : (SHORT.get(kind) ?? 0);
  if (code < 0x80) {
    target[to] = code;
    return 1;
  }
  if (code < 0x800) {
    target[to] = 0xc0 | (code >> 6);
    target[to + 1] = 0x80 | (code & 0x3f);
    return 2;
  }
  target[to] = 0xe0 | (code >> 12);
  target[to + 1] = 0x80 | ((code >> 6) & 0x3f);
  target[to + 2] = 0x80 | (code & 0x3f);
  return 3;
}

/**
 * Length of `2026-11-22T03:55:00.123456789Z`. Times have nine fractional digits, as in containerd's logs, so that they sort
 * correctly as text.
 */
const TIMESTAMP_BYTES = 30;
/** Length of a header: timestamp, blank, stream (both names have six letters), blank, tag, blank. */
const HEADER_BYTES = TIMESTAMP_BYTES + 10;

const STDOUT = Buffer.from(' stdout F ');
const STDERR = Buffer.from(' stderr F ');
const PARTIAL = 0x50;
const ZERO = 0x30;
const DOT = 0x2e;
const ZED = 0x5a;
/** Length of `2026-11-22T03:55:00`, the part before the fraction. */
const SECONDS_BYTES = 19;

/**
 * Writes the header of a CRI log line (docs/logs.md) at `target[to]`. The time is Docker's own text between `from` and `until`.
 * Returns false when this text is not an RFC 3339 time in UTC with at most nine fractional digits; the caller then keeps the
 * text as it is.
 */
function writeHeader(
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

/**
 * Returns Docker's time with nine fractional digits. A time in any other form is returned unchanged, because RFC 3339 allows
 * other forms too.
 */
function padTimestamp(time: string): string {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/.exec(time);
  return match?.[1] === undefined ? time : `${match[1]}.${(match[2] ?? '').padEnd(9, '0')}Z`;
}

/** The note at the beginning of a log that lacks the container's first output. */
export const EARLIER_ELSEWHERE =
  'earlier output is not in this file; `docker logs` shows the part that Docker still has';

/**
 * Renders a line of our own for a container's log. It is a complete line on stderr, and readers recognize it by its first word,
 * `dockbridge:`.
 */
export function formatNote(text: string, now: Date): Buffer {
  return Buffer.from(`${padTimestamp(now.toISOString())} stderr F dockbridge: ${text}\n`);
}
