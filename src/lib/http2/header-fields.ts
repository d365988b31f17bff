import * as hpack from 'hpack.js';
import { ProtocolError } from './frames';

export interface HeaderField {
  readonly name: string;
  /** The octets of the value as latin1 characters. */
  readonly value: string;
}

/** The protocol's default for SETTINGS_HEADER_TABLE_SIZE, which grpc-js does not change. */
const TABLE_BYTES = 4096;
/**
 * Limit of a decoded block. An indexed field is one byte on the wire and up to 4 KiB decoded. RFC 9113 §6.5.2 also counts
 * 32 bytes for each field.
 */
const MAX_DECODED_BYTES = 256 * 1024;
/** The largest table that is accepted, even if a larger size was announced. gRPC implementations use much smaller tables. */
const MAX_TABLE_BYTES = 1024 * 1024;
const FIELD_OVERHEAD = 32;

/**
 * Decodes the header blocks of one connection. It must decode all blocks in order, because they share the dynamic table
 * (RFC 7541). It uses only the parts of hpack.js. The stream of hpack.js would collect a whole block before the size of the
 * block can be limited.
 */
export class HeaderDecoder {
  readonly #input = hpack.decoder.create();
  readonly #table = hpack.table.create({ maxSize: TABLE_BYTES });
  readonly #maxBytes: number;

  /**
   * @param maxBytes the decoded size that the fields of one block may have together. For each field,
   * 32 bytes are added to its name and value.
   */
  constructor(maxBytes = MAX_DECODED_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /**
   * Raises the allowed size of the dynamic table. Call this when the receiver of these blocks announces this size
   * (SETTINGS_HEADER_TABLE_SIZE). The table itself changes only when the sender changes it in a block (RFC 7541 §4.2).
   */
  allowTable(bytes: number): void {
    this.#table.protocolMaxSize = Math.max(this.#table.protocolMaxSize, Math.min(bytes, MAX_TABLE_BYTES));
  }

  /**
   * Decodes one block.
   * @throws ProtocolError when the block is malformed or too big. The connection cannot be used after that.
   */
  decode(block: Buffer): HeaderField[] {
    try {
      return this.#decode(block);
    } catch (error) {
      throw new ProtocolError('undecodable header block', { cause: error });
    }
  }

  #decode(block: Buffer): HeaderField[] {
    const fields: HeaderField[] = [];
    let size = 0;
    this.#input.push(block);
    while (!this.#input.isEmpty()) {
      const field = this.#next();
      if (field === undefined) continue;
      size += field.name.length + field.value.length + FIELD_OVERHEAD;
      if (size > this.#maxBytes) throw new RangeError('header list too large');
      fields.push(field);
    }
    return fields;
  }

  /** Decodes one representation (RFC 7541 §6). Returns undefined for a table size update. */
  #next(): HeaderField | undefined {
    const input = this.#input;
    if (input.decodeBit() === 1) return this.#table.lookup(input.decodeInt());
    const indexing = input.decodeBit() === 1;
    if (!indexing) {
      if (input.decodeBit() === 1) {
        this.#table.updateSize(input.decodeInt());
        return undefined;
      }
      input.decodeBit(); // "never indexed" makes no difference, because encodeLiterals indexes nothing
    }
    const index = input.decodeInt();
    const name = index === 0 ? this.#string() : this.#table.lookup(index).name;
    const value = this.#string();
    if (indexing) this.#table.add(name, value, name.length, value.length);
    return { name, value };
  }

  #string(): string {
    // hpack.js creates an empty string with `new Buffer`, which makes the bundled program print a warning on stderr. The empty
    // string is therefore read here.
    if (this.#input.buffer.peekUInt8() === 0) {
      this.#input.buffer.readUInt8();
      return '';
    }
    return Buffer.from(this.#input.decodeStr()).toString('latin1');
  }
}

/**
 * Encodes fields as literals without indexing and without Huffman codes, so that they neither use nor change the dynamic
 * table.
 */
export function encodeLiterals(fields: readonly HeaderField[]): Buffer {
  const pieces: Buffer[] = [];
  for (const { name, value } of fields) {
    const nameBytes = Buffer.from(name, 'latin1');
    const valueBytes = Buffer.from(value, 'latin1');
    pieces.push(LITERAL, prefixedLength(nameBytes.length), nameBytes);
    pieces.push(prefixedLength(valueBytes.length), valueBytes);
  }
  return Buffer.concat(pieces);
}

const LITERAL = Buffer.from([0x00]);

/** Encodes the length of a string: an integer with a 7-bit prefix and the Huffman bit off (RFC 7541 §5.1, §5.2). */
function prefixedLength(length: number): Buffer {
  if (length < 0x7f) return Buffer.from([length]);
  const bytes = [0x7f];
  let rest = length - 0x7f;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}
