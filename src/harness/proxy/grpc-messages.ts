/** A message in gRPC's framing. */
export interface GrpcMessage {
  readonly compressed: boolean;
  readonly length: number;
  /** Undefined for a message longer than the splitter keeps. */
  readonly bytes: Buffer | undefined;
}

/** The length of a message's prefix: one byte for compression and four bytes for the length. */
export const PREFIX_BYTES = 5;
/** The longest message whose bytes are kept. kubelet's limit is 16 MiB. Of a longer message, only the length is kept. */
const MAX_KEPT_BYTES = 64 * 1024 * 1024;

/** Splits the bytes of one direction of a call into messages. It does not change the chunks that it is given. */
export class MessageSplitter {
  #pieces: Buffer[] = [];
  #held = 0;
  #skip = 0;

  constructor(private readonly maxKept = MAX_KEPT_BYTES) {}

  /** Adds a chunk. @returns the messages that this chunk completes. */
  feed(chunk: Buffer): GrpcMessage[] {
    const messages: GrpcMessage[] = [];
    let rest = this.#skipped(chunk);
    while (rest.length > 0) {
      this.#pieces.push(rest);
      this.#held += rest.length;
      if (this.#held < PREFIX_BYTES) break;
      const head = this.#joined(PREFIX_BYTES);
      const length = head.readUInt32BE(1);
      const compressed = head[0] === 1;
      const end = PREFIX_BYTES + length;
      if (length > this.maxKept) {
        messages.push({ compressed, length, bytes: undefined });
        const held = this.#joined(this.#held);
        this.#clear();
        this.#skip = end;
        rest = this.#skipped(held);
        continue;
      }
      if (this.#held < end) break;
      const held = this.#joined(this.#held);
      messages.push({ compressed, length, bytes: held.subarray(PREFIX_BYTES, end) });
      this.#clear();
      rest = held.subarray(end);
    }
    return messages;
  }

  #skipped(chunk: Buffer): Buffer {
    const skipped = Math.min(this.#skip, chunk.length);
    this.#skip -= skipped;
    return chunk.subarray(skipped);
  }

  /** Returns at least this many held bytes in one buffer. Each byte is copied at most twice: once for the prefix and once at the end. */
  #joined(bytes: number): Buffer {
    const [first] = this.#pieces;
    if (first !== undefined && first.length >= bytes) return first;
    const joined = Buffer.concat(this.#pieces);
    this.#pieces = [joined];
    return joined;
  }

  #clear(): void {
    this.#pieces = [];
    this.#held = 0;
  }
}

/** Returns a message with its prefix. */
export function framed(message: Uint8Array, compressed: boolean): Buffer {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt8(compressed ? 1 : 0);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}
