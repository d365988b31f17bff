import * as hpack from 'hpack.js';
import { ProtocolError } from './frames';

export interface HeaderField {
  readonly name: string;
  /** Octets as latin1 characters. */
  readonly value: string;
}

/** The protocol's default for SETTINGS_HEADER_TABLE_SIZE, which grpc-js does not change. */
const TABLE_BYTES = 4096;
/** An indexed field is one byte on the wire and up to 4 KiB decoded; RFC 9113 §6.5.2 counts 32 bytes a field on top. */
const MAX_DECODED_BYTES = 256 * 1024;
/** The largest table that is accepted, whatever was announced. gRPC implementations use much smaller ones. */
const MAX_TABLE_BYTES = 1024 * 1024;
const FIELD_OVERHEAD = 32;

/**
 * Decodes the header blocks of one connection, in order and all of them: the dynamic table is shared (RFC 7541).
 * Built on hpack.js' parts; its own stream gathers a whole block before anyone can count bytes.
 */
export class HeaderDecoder {
  readonly #input = hpack.decoder.create();
  readonly #table = hpack.table.create({ maxSize: TABLE_BYTES });
  readonly #maxBytes: number;

  /** @param maxBytes the decoded size that the fields of one block may have together. Each field counts 32 bytes more. */
  constructor(maxBytes = MAX_DECODED_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /**
   * Call this when the receiver of these blocks announces a table of this size (SETTINGS_HEADER_TABLE_SIZE). It only raises the allowed size. The table
   * itself changes when the sender says so in a block (RFC 7541 §4.2), and until it does, the larger size stays in use.
   */
  allowTable(bytes: number): void {
    this.#table.protocolMaxSize = Math.max(this.#table.protocolMaxSize, Math.min(bytes, MAX_TABLE_BYTES));
  }

  /** @throws ProtocolError when the block is malformed or too big; the connection is lost then. */
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

  /** One representation (RFC 7541 §6); undefined for a table size update. */
  #next(): HeaderField | undefined {
    const input = this.#input;
    if (input.decodeBit() === 1) return this.#table.lookup(input.decodeInt());
    const indexing = input.decodeBit() === 1;
    if (!indexing) {
      if (input.decodeBit() === 1) {
        this.#table.updateSize(input.decodeInt());
        return undefined;
      }
      input.decodeBit(); // never-indexed makes no difference here, because we index nothing
    }
    const index = input.decodeInt();
    const name = index === 0 ? this.#string() : this.#table.lookup(index).name;
    const value = this.#string();
    if (indexing) this.#table.add(name, value, name.length, value.length);
    return { name, value };
  }

  #string(): string {
    // hpack.js makes empty strings with `new Buffer`, which warns on stderr once bundled.
    if (this.#input.buffer.peekUInt8() === 0) {
      this.#input.buffer.readUInt8();
      return '';
    }
    return Buffer.from(this.#input.decodeStr()).toString('latin1');
  }
}

/** Encodes literals without indexing and without Huffman, so they neither use nor change the dynamic table. */
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

/** A string length: an integer with a 7-bit prefix, Huffman bit off (RFC 7541 §5.1, §5.2). */
function prefixedLength(length: number): Buffer {
  if (length < 0x7f) return Buffer.from([length]);
  const bytes = [0x7f];
  let rest = length - 0x7f;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}
