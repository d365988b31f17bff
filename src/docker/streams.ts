import { posix } from 'node:path';
import type { Readable } from 'node:stream';
import { internal } from '../lib/errors';

/** The stream to which a frame belongs: 1 is stdout, 2 is stderr. */
export type StreamKind = 1 | 2;

const HEADER_BYTES = 8;

/**
 * Splits the Engine's multiplexed stream (8-byte header: kind, 3 zero bytes, big-endian length) in one pass, without recursion
 * or copying. dockerode's own demultiplexer overflows the stack on many small frames and takes quadratic time.
 */
export class Demultiplexer {
  private readonly header = Buffer.alloc(HEADER_BYTES);
  private headerFilled = 0;
  private kind = 0;
  private remaining = 0;

  constructor(private readonly onData: (kind: StreamKind, data: Buffer) => void) {}

  /** Whether the last frame has arrived completely. */
  get isWhole(): boolean {
    return this.headerFilled === 0 && this.remaining === 0;
  }

  /** Reads the next chunk, which may end anywhere in a frame, and passes slices of it to `onData`. */
  write(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.remaining === 0) {
        at += this.fillHeader(chunk, at);
        continue;
      }
      const end = Math.min(chunk.length, at + this.remaining);
      if (this.kind === 1 || this.kind === 2) this.onData(this.kind, chunk.subarray(at, end));
      this.remaining -= end - at;
      at = end;
    }
  }

  private fillHeader(chunk: Buffer, at: number): number {
    const taken = chunk.copy(this.header, this.headerFilled, at, at + HEADER_BYTES - this.headerFilled);
    this.headerFilled += taken;
    if (this.headerFilled === HEADER_BYTES) {
      this.headerFilled = 0;
      this.kind = this.header.readUInt8(0);
      this.remaining = this.header.readUInt32BE(4);
    }
    return taken;
  }
}

/**
 * A generous limit for one message. Most have a few hundred bytes, but an event with many labels can have some 100 KiB.
 */
const MAX_LINE_BYTES = 16 * 1024 * 1024;

/**
 * Yields the messages of a stream of JSON lines one at a time, with back-pressure. Ends when the stream ends. Rejects
 * when the stream is cut off, a line is not JSON, or a line exceeds 16 MiB.
 */
export async function* readJsonLines<T>(stream: Readable): AsyncGenerator<T> {
  let rest: Buffer[] = [];
  let restBytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      const line = Buffer.concat([...rest, chunk.subarray(start, end)]).toString('utf8');
      [rest, restBytes, start] = [[], 0, end + 1];
      if (line.trim() !== '') yield JSON.parse(line) as T;
    }
    restBytes += chunk.length - start;
    if (restBytes > MAX_LINE_BYTES)
      throw internal(`the Engine sent a line of more than ${MAX_LINE_BYTES} bytes`);
    if (start < chunk.length) rest.push(chunk.subarray(start));
  }
  const last = Buffer.concat(rest).toString('utf8');
  if (last.trim() !== '') yield JSON.parse(last) as T;
}

/** One entry of a tar archive. */
export type TarEntry =
  | { readonly kind: 'file'; readonly content: Buffer }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'other' };

const BLOCK = 512;
/** Types of tar headers that only describe the next entry: the headers of pax and of GNU's long names. */
const ABOUT_NEXT = new Set(['x', 'g', 'L', 'K']);

/**
 * Reads the first entry of a tar archive.
 * @returns undefined for an archive that is empty or cut off.
 */
export function firstTarEntry(tar: Buffer): TarEntry | undefined {
  for (let at = 0; at + BLOCK <= tar.length;) {
    const type = tar.toString('latin1', at + 156, at + 157);
    const size = parseInt(text(tar, at + 124, 12), 8) || 0;
    const content = tar.subarray(at + BLOCK, at + BLOCK + size);
    if (content.length < size || text(tar, at, 100) === '') return undefined;
    if (!ABOUT_NEXT.has(type)) {
      if (type === '0' || type === '\0') return { kind: 'file', content };
      return type === '2' ? { kind: 'link', target: text(tar, at + 157, 100) } : { kind: 'other' };
    }
    at += BLOCK * (1 + Math.ceil(size / BLOCK));
  }
  return undefined;
}

/** Returns the path to which a link at `path` leads. */
export function linkTarget(path: string, target: string): string {
  return posix.resolve(posix.dirname(path), target);
}

function text(tar: Buffer, at: number, length: number): string {
  const field = tar.subarray(at, at + length);
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end === -1 ? length : end).trim();
}
