import { constants, createInflate, type Inflate } from 'node:zlib';
import { SpdyError } from './frames';

/* The preset dictionary for zlib that SPDY/3 defines in section 2.6.10.1. */

const WORDS =
  'options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow ' +
  'authorization cache-control connection content-base content-encoding content-language content-length ' +
  'content-location content-md5 content-range content-type date etag expect expires from host if-match ' +
  'if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma ' +
  'proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade ' +
  'user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie ' +
  'keep-alive origin';

const TEXT =
  '100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505' +
  '203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized' +
  '403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable' +
  'Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT' +
  'chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,' +
  'text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.';

/** The dictionary contains words, each after its length in 4 bytes, and then text without separators. */
export const SPDY_DICTIONARY: Buffer = Buffer.concat([
  ...WORDS.split(' ').flatMap((word) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(word.length);
    return [length, Buffer.from(word.replace('_', ' '), 'latin1')];
  }),
  Buffer.from(TEXT, 'latin1'),
]);

/** Headers by lower-case name. Several values of one name are joined by NUL, as on the wire. */
export type Headers = ReadonlyMap<string, string>;

/** Limit for an inflated block. It is needed because 16 KiB of compressed zeros would become 16 MiB. */
const MAX_INFLATED_BYTES = 64 * 1024;
const MAX_HEADERS = 100;
const MAX_STORED_BYTES = 0xffff;

/**
 * Writes header blocks as one zlib stream of stored blocks. They are not compressed, because dockbridge's headers are
 * short and a compressor needs 256 KiB for each connection. An empty block follows each block, because Go's inflater
 * would otherwise wait for more data.
 */
export class HeaderEncoder {
  private started = false;

  encode(headers: Headers): Buffer {
    const parts = [number(headers.size)];
    for (const [name, value] of headers) {
      const bytes = Buffer.from(value, 'utf8');
      parts.push(number(Buffer.byteLength(name)), Buffer.from(name), number(bytes.length), bytes);
    }
    const body = Buffer.concat(parts);
    if (body.length > MAX_STORED_BYTES) throw new SpdyError('headers to send are too long');
    const head = this.started ? [] : [ZLIB_HEAD];
    this.started = true;
    const length = Buffer.alloc(5);
    length.writeUInt16LE(body.length, 1);
    length.writeUInt16LE(body.length ^ 0xffff, 3);
    return Buffer.concat([...head, length, body, EMPTY_BLOCK]);
  }
}

/**
 * Reads header blocks. They are one zlib stream, so they must be decoded in the order of their frames. Must be closed.
 */
export class HeaderDecoder {
  private inflate: Inflate | undefined;

  /**
   * Decodes one header block.
   * @throws SpdyError for an invalid or too large block. `decode` must not be called again after that.
   */
  async decode(block: Buffer): Promise<Headers> {
    return parseBlock(await this.inflated(block));
  }

  close(): void {
    this.inflate?.close();
  }

  private async inflated(block: Buffer): Promise<Buffer> {
    const inflate = (this.inflate ??= createInflate({ dictionary: SPDY_DICTIONARY }));
    const chunks: Buffer[] = [];
    let size = 0;
    return new Promise((resolve, reject) => {
      const onData = (chunk: Buffer): void => {
        size += chunk.length;
        if (size > MAX_INFLATED_BYTES) onFailure();
        else chunks.push(chunk);
      };
      const onFailure = (): void => {
        inflate.off('data', onData).destroy();
        reject(new SpdyError('a header block cannot be inflated or is too long'));
      };
      inflate.on('data', onData).once('error', onFailure).once('close', onFailure);
      inflate.write(block);
      inflate.flush(constants.Z_SYNC_FLUSH, () => {
        inflate.off('data', onData).off('error', onFailure).off('close', onFailure);
        resolve(Buffer.concat(chunks));
      });
    });
  }
}

function parseBlock(block: Buffer): Headers {
  let at = 0;
  const readNumber = (): number => {
    if (at + 4 > block.length) throw new SpdyError('a header block is cut off');
    at += 4;
    return block.readUInt32BE(at - 4);
  };
  const readText = (): string => {
    const length = readNumber();
    if (length > block.length - at) throw new SpdyError('a header is longer than its block');
    at += length;
    return block.toString('utf8', at - length, at);
  };
  const count = readNumber();
  if (count > MAX_HEADERS) throw new SpdyError(`${count} headers are too many`);
  const headers = new Map<string, string>();
  for (let index = 0; index < count; index++) {
    const name = readText().toLowerCase();
    if (name === '' || headers.has(name)) throw new SpdyError('a header has no name or occurs twice');
    headers.set(name, readText());
  }
  if (at !== block.length) throw new SpdyError('a header block is longer than its headers');
  return headers;
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function adler32(bytes: Buffer): number {
  let low = 1;
  let high = 0;
  for (const byte of bytes) {
    low = (low + byte) % 65521;
    high = (high + low) % 65521;
  }
  return ((high << 16) | low) >>> 0;
}

/**
 * The header of a zlib stream: deflate with a 32 KiB window and a preset dictionary, which is identified by its checksum.
 */
const ZLIB_HEAD = Buffer.concat([Buffer.from([0x78, 0x20]), number(adler32(SPDY_DICTIONARY))]);
const EMPTY_BLOCK = Buffer.from([0x00, 0x00, 0x00, 0xff, 0xff]);
