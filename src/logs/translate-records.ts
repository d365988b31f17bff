import { formatNote, HEADER_BYTES, writeHeader } from './cri-line';
import { escapeLength, unescapeAt } from './json-escape';
import { translateSlowly } from './record-fallback';

const NEWLINE = 0x0a;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LETTER_N = 0x6e;
const NATIVE_COPY_FROM = 48;

const LOG = Buffer.from('{"log":"');
const STDOUT = Buffer.from('","stream":"stdout",');
const STDERR = Buffer.from('","stream":"stderr",');
const TIME = Buffer.from('"time":"');
const END = Buffer.from('"}\n');
/** Offset of the first byte in which the two stream fields differ. */
const STREAM_LETTER = STDOUT.indexOf('out');

export interface Translation {
  /** Bytes of the source taken: always a whole number of records. */
  consumed: number;
  /** Bytes of the target written. */
  written: number;
  records: number;
  /** Records that were no JSON; each left a note in the target. */
  unreadable: number;
}

/**
 * Turns Docker's json-file records into CRI log lines. The fast way relies on the field order of moby's hand-written
 * marshaller (`log`, `stream`, `attrs`, `time`); whatever does not fit is parsed as JSON.
 */
export class RecordTranslator {
  private at = 0;
  private out = 0;

  constructor(
    private readonly source: Buffer,
    private readonly target: Buffer,
    private readonly now: () => Date = () => new Date(),
  ) {}

  /** Translates the whole records in the first `length` bytes of the source, as far as the target has room. */
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
    // A CRI line is never longer than its record, but for the fallback: so room for the rest of the source is enough.
    if (target.length - this.out < length - start + HEADER_BYTES) return false;
    if (!matches(source, start, LOG)) return false;
    let from = start + LOG.length;
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
    const isStderr = source[from + STREAM_LETTER] !== STDOUT[STREAM_LETTER];
    if (!matches(source, from, isStderr ? STDERR : STDOUT)) return false;
    from += STDOUT.length;
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
