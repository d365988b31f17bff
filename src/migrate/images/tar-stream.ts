import { internal } from '../../lib/errors';

const BLOCK = 512;
/** Limit for the headers that describe the next entry: a long name, or pax records. */
const MAX_ABOUT_NEXT = 1024 * 1024;

export interface TarEntry {
  readonly name: string;
  readonly size: number;
  /** `other` entries, such as directories and links, have no body. */
  readonly kind: 'file' | 'other';
}

/**
 * Reads a tar archive that is still arriving, one entry at a time, and holds one chunk of it. Understands ustar, pax and GNU's
 * headers, as the Engine and GNU tar write them.
 */
export class TarStream {
  private readonly chunks: AsyncIterator<Buffer>;
  private chunk: Buffer = Buffer.alloc(0);
  /** Bytes of the current body that are not read yet, and of the padding after it. */
  private body = 0;
  private padding = 0;

  constructor(archive: AsyncIterable<Buffer>) {
    this.chunks = archive[Symbol.asyncIterator]();
  }

  /**
   * Skips the rest of the current entry and returns the next one.
   * @returns undefined at the end of the archive.
   * @throws INTERNAL when the archive is cut off.
   */
  async next(): Promise<TarEntry | undefined> {
    const changes: { name?: string; size?: number } = {};
    for (;;) {
      await this.skip(this.body + this.padding);
      const header = await this.header();
      // Two blocks of zeros end an archive, and nothing but zeros follows.
      if (header === undefined || header.every((byte) => byte === 0)) return undefined;
      const size = numberIn(header, 124, 12);
      const type = String.fromCharCode(header[156] ?? 0);
      if (type === 'x' || type === 'g' || type === 'L' || type === 'K') {
        this.startBody(size);
        if (size > MAX_ABOUT_NEXT) throw internal(`the archive has a header of ${size} bytes`);
        const about = Buffer.concat(await collected(this.read()));
        if (type === 'L') changes.name = untilNul(about);
        if (type === 'x') Object.assign(changes, paxChanges(about));
        continue;
      }
      const isFile = type === '0' || type === '\0' || type === '7';
      const entry = {
        name: changes.name ?? nameIn(header),
        size: isFile ? (changes.size ?? size) : 0,
        kind: isFile ? ('file' as const) : ('other' as const),
      };
      this.startBody(entry.size);
      return entry;
    }
  }

  /** Yields what is left of the current entry's body. A reader that stops early can continue later. */
  async *read(): AsyncGenerator<Buffer> {
    while (this.body > 0) {
      const part = await this.take(this.body);
      this.body -= part.length;
      yield part;
    }
  }

  /** Skips the next bytes of the current entry's body. */
  async skipBody(count: number): Promise<void> {
    await this.skip(count);
  }

  /** Ends the reading, and with it the arrival of the archive. */
  async close(): Promise<void> {
    await this.chunks.return?.();
  }

  private startBody(size: number): void {
    this.body = size;
    this.padding = (BLOCK - (size % BLOCK)) % BLOCK;
  }

  private async header(): Promise<Buffer | undefined> {
    const parts: Buffer[] = [];
    for (let missing = BLOCK; missing > 0;) {
      if (!(await this.fill())) {
        if (parts.length === 0) return undefined;
        throw internal('the archive is cut off');
      }
      const part = await this.take(missing);
      missing -= part.length;
      parts.push(part);
    }
    return Buffer.concat(parts);
  }

  private async skip(count: number): Promise<void> {
    for (let left = count; left > 0;) {
      const { length } = await this.take(left);
      left -= length;
      const ofBody = Math.min(length, this.body);
      this.body -= ofBody;
      this.padding -= length - ofBody;
    }
  }

  /** Returns the next bytes, at least one and at most `most`, without a copy. */
  private async take(most: number): Promise<Buffer> {
    if (!(await this.fill())) throw internal('the archive is cut off');
    const part = this.chunk.subarray(0, most);
    this.chunk = this.chunk.subarray(part.length);
    return part;
  }

  /** @returns whether there is a byte to read. */
  private async fill(): Promise<boolean> {
    while (this.chunk.length === 0) {
      const result = await this.chunks.next();
      if (result.done === true) return false;
      this.chunk = result.value;
    }
    return true;
  }
}

async function collected(chunks: AsyncIterable<Buffer>): Promise<Buffer[]> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return all;
}

function untilNul(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end === -1 ? bytes.length : end);
}

function nameIn(header: Buffer): string {
  const name = untilNul(header.subarray(0, 100));
  // GNU's own format has other fields in the place of ustar's prefix.
  const isUstar = header.toString('latin1', 257, 263) === 'ustar\0';
  const prefix = isUstar ? untilNul(header.subarray(345, 500)) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

/** Reads a number: octal text, or GNU's big-endian form for numbers that are too large for octal text. */
function numberIn(header: Buffer, at: number, length: number): number {
  const first = header[at] ?? 0;
  if (first < 0x80) return parseInt(header.toString('latin1', at, at + length).replace(/\0.*$/s, ''), 8) || 0;
  let value = first & 0x7f;
  for (const byte of header.subarray(at + 1, at + length)) value = value * 256 + byte;
  return value;
}

/** Reads pax records, each of the form `LENGTH KEY=VALUE\n`. */
function paxChanges(records: Buffer): { name?: string; size?: number } {
  const changes: { name?: string; size?: number } = {};
  for (let at = 0; at < records.length;) {
    const space = records.indexOf(0x20, at);
    const length = Number(records.toString('latin1', at, space));
    if (space === -1 || !(length > 0)) break;
    const record = records.toString('utf8', space + 1, at + length - 1);
    const [key, value] = [record.slice(0, record.indexOf('=')), record.slice(record.indexOf('=') + 1)];
    if (key === 'path') changes.name = value;
    if (key === 'size') changes.size = Number(value);
    at += length;
  }
  return changes;
}
