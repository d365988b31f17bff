import { createReadStream } from 'node:fs';
import { failedPrecondition } from '../../lib/errors';
import { TAPE_VERSION, type TapeHeader, type TapeLine } from './format';

/** The head of a tape is a short line. A file without a line end within this many bytes is not a tape. */
const MAX_HEAD_BYTES = 64 * 1024;
/** The longest line that is read. The longest message that a tape can contain (64 MiB) takes about a third of it in base64. */
const MAX_LINE_BYTES = 256 * 1024 * 1024;
/** The deepest nesting of a line, far beyond that of any CRI message. It bounds the recursion of functions that process lines. */
const MAX_DEPTH = 100;

/** A problem with a tape that can be read nevertheless. */
export interface TapeProblem {
  /** Counted from 1. */
  readonly line: number;
  readonly why: string;
}

/** Reads a tape line by line, so that it needs no more memory than the longest line. */
export class TapeReader {
  readonly problems: TapeProblem[] = [];
  #line = 0;

  constructor(
    private readonly file: string,
    private readonly input: AsyncIterable<Buffer> = createReadStream(file),
  ) {}

  /**
   * Calls `onHead` once and `onLine` for each further line. Unreadable lines and a missing end are added to `problems`.
   * @throws FAILED_PRECONDITION if the file is not a tape or has a later version; otherwise the system's error.
   */
  async read(onHead: (head: TapeHeader) => void, onLine: (line: TapeLine) => void): Promise<void> {
    for await (const line of this.lines(onHead)) onLine(line);
  }

  /** Does the same as `read`, for callers that process each line asynchronously. */
  async *lines(onHead: (head: TapeHeader) => void = () => undefined): AsyncGenerator<TapeLine> {
    let hasEnd = false;
    for await (const { text, isWhole } of this.#texts()) {
      this.#line++;
      if (this.#line === 1) {
        onHead(this.#head(text));
        continue;
      }
      if (text.trim() === '') continue;
      const line = this.#parsed(text, isWhole);
      if (line === undefined) continue;
      if (hasEnd) this.#problem('comes after the end of the tape');
      hasEnd ||= 'end' in line;
      yield line;
    }
    if (this.#line === 0) throw failedPrecondition(`${this.file} is empty: it is not a tape`);
    if (!hasEnd)
      this.#problem(
        'is the last line but not the end of a tape: the tape was cut off, is still being recorded, or its recorder was killed',
      );
  }

  async *#texts(): AsyncGenerator<{ text: string; isWhole: boolean }> {
    let held: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of this.input) {
      let from = 0;
      for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
        const text = Buffer.concat([...held, chunk.subarray(from, at)]).toString();
        held = [];
        bytes = 0;
        from = at + 1;
        yield { text, isWhole: true };
      }
      held.push(chunk.subarray(from));
      bytes += chunk.length - from;
      if (bytes > (this.#line === 0 ? MAX_HEAD_BYTES : MAX_LINE_BYTES)) {
        if (this.#line === 0) throw this.#foreign();
        this.#line++;
        this.#problem('is too long: the rest of the tape is not read');
        return;
      }
    }
    if (bytes > 0) yield { text: Buffer.concat(held).toString(), isWhole: false };
  }

  #head(text: string): TapeHeader {
    const head = objectOf(text);
    if (typeof head?.tape !== 'number') throw this.#foreign();
    if (head.tape > TAPE_VERSION)
      throw failedPrecondition(
        `${this.file} is a tape of version ${head.tape}, but this dockbridge reads version ${TAPE_VERSION}: use the dockbridge that recorded it`,
      );
    if (!isHead(head)) throw this.#foreign();
    return head as unknown as TapeHeader;
  }

  #parsed(text: string, isWhole: boolean): TapeLine | undefined {
    const line = objectOf(text);
    if (line !== undefined && isDeeper(line, MAX_DEPTH)) {
      this.#problem(`is nested deeper than ${MAX_DEPTH} levels`);
      return undefined;
    }
    if (line !== undefined && isTapeLine(line)) return line as unknown as TapeLine;
    if (!isWhole) this.#problem('is cut off');
    else this.#problem(line === undefined ? 'is not a JSON object' : 'is not a line of a tape');
    return undefined;
  }

  #foreign(): Error {
    return failedPrecondition(
      `${this.file} is not a tape: its first line is not a tape's head, such as {"tape":1,"recorded":…}`,
    );
  }

  #problem(why: string): void {
    this.problems.push({ line: this.#line, why });
  }
}

function objectOf(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Returns whether objects and lists are nested more than `levels` deep. */
function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  return Object.values(value).some((item) => isDeeper(item, levels - 1));
}

type Check = (value: unknown) => boolean;
const isText: Check = (value) => typeof value === 'string';
const isNumber: Check = (value) => Number.isFinite(value);
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
const isObject: Check = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The fields on which readers rely, by the field that identifies the kind of line. The first one that is present decides. */
const KINDS: readonly (readonly [field: string, checks: Readonly<Record<string, Check>>])[] = [
  ['end', { calls: isNumber, lost: isNumber }],
  ['lost', { lost: isNumber, why: optional(isText) }],
  ['fault', { fault: isText, n: optional(isNumber), method: optional(isText) }],
  [
    'status',
    {
      ...{ n: isNumber, method: isText, status: isText, ms: isNumber },
      ...{ by: optional(isText), details: optional(isText) },
    },
  ],
  ['message', { n: isNumber, method: isText }],
  ['n', { n: isNumber, method: isText, api: optional(isText), deadline_ms: optional(isNumber) }],
];

/** Later versions of the format may add fields and kinds of lines about calls, so only these fields are checked. */
function isTapeLine(line: Readonly<Record<string, unknown>>): boolean {
  const [, checks] = KINDS.find(([field]) => Object.hasOwn(line, field)) ?? [];
  return checks !== undefined && isNumber(line.t) && hasAll(line, checks);
}

function isHead(head: Readonly<Record<string, unknown>>): boolean {
  const { upstream } = head;
  const texts = { endpoint: isText, runtime_name: optional(isText), runtime_version: optional(isText) };
  return isText(head.recorded) && isObject(upstream) && hasAll(upstream as Record<string, unknown>, texts);
}

function hasAll(object: Readonly<Record<string, unknown>>, checks: Readonly<Record<string, Check>>): boolean {
  return Object.entries(checks).every(([field, check]) => check(object[field]));
}
