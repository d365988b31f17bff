/** Which stream a frame belongs to; 0 is stdin, echoed by nobody. */
export type StreamKind = 1 | 2;

const HEADER_BYTES = 8;

/**
 * Splits the Engine's multiplexed stream (8-byte header: kind, 3 zero bytes, big-endian length) in one pass without
 * recursion or copying: dockerode's own overflows the stack on many small frames and is quadratic.
 */
export class Demultiplexer {
  private readonly header = Buffer.alloc(HEADER_BYTES);
  private headerFilled = 0;
  private kind = 0;
  private remaining = 0;

  constructor(private readonly onData: (kind: StreamKind, data: Buffer) => void) {}

  /** Whether all that was written is whole frames. */
  get isWhole(): boolean {
    return this.headerFilled === 0 && this.remaining === 0;
  }

  /** Takes the next chunk, cut anywhere; hands over slices of it. */
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
