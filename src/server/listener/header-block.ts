import {
  Flag,
  FRAME_HEADER_BYTES,
  FrameType,
  MAX_FRAME_BYTES,
  ProtocolError,
  type FrameHeader,
} from './h2-frame';

/** More than nghttp2 takes itself (64 KiB of fields, eight CONTINUATIONs), so that it gives the proper answer. */
const MAX_BLOCK_BYTES = 256 * 1024;

/** Collects one header block: a HEADERS frame and its CONTINUATIONs (RFC 9113 §6.2, §6.10). */
export class HeaderBlock {
  readonly streamId: number;
  readonly endStream: boolean;
  complete = false;
  readonly #frames: Buffer[] = [];
  readonly #fragments: Buffer[] = [];
  #size = 0;
  #frame: Buffer = Buffer.alloc(0);
  #filled = 0;
  #flags = 0;

  /** `data` holds the HEADERS frame's header at `at`. */
  constructor(head: FrameHeader, data: Buffer, at: number) {
    this.streamId = head.streamId;
    this.endStream = (head.flags & Flag.END_STREAM) !== 0;
    this.open(head, data, at);
  }

  /** Begins the block's next frame: anything but its own CONTINUATION breaks the protocol. */
  open(head: FrameHeader, data: Buffer, at: number): void {
    const expected = this.#size === 0 ? FrameType.HEADERS : FrameType.CONTINUATION;
    if (head.type !== expected || head.streamId !== this.streamId) {
      throw new ProtocolError('a header block was interrupted by another frame');
    }
    if (head.length > MAX_FRAME_BYTES) throw new ProtocolError('oversized header frame');
    this.#size += FRAME_HEADER_BYTES + head.length;
    if (this.#size > MAX_BLOCK_BYTES) throw new ProtocolError('oversized header block');
    this.#frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + head.length);
    this.#filled = data.copy(this.#frame, 0, at, at + FRAME_HEADER_BYTES);
    this.#flags = head.flags;
    this.#endFrameIfFull();
  }

  /** Bytes the current frame still lacks; 0 between two frames. */
  get missing(): number {
    return this.#frame.length - this.#filled;
  }

  /** Takes what belongs to the current frame; returns how many bytes that was. */
  fill(data: Buffer, at: number): number {
    const taken = data.copy(this.#frame, this.#filled, at);
    this.#filled += taken;
    this.#endFrameIfFull();
    return taken;
  }

  /** The frames as they came. */
  original(): Buffer {
    return Buffer.concat(this.#frames);
  }

  /** The HPACK text, without padding and priority. */
  fragment(): Buffer {
    return Buffer.concat(this.#fragments);
  }

  #endFrameIfFull(): void {
    if (this.missing > 0) return;
    this.#frames.push(this.#frame);
    this.#fragments.push(this.#stripped());
    this.complete = (this.#flags & Flag.END_HEADERS) !== 0;
  }

  #stripped(): Buffer {
    const payload = this.#frame.subarray(FRAME_HEADER_BYTES);
    if (this.#frames.length > 1) return payload;
    const padded = (this.#flags & Flag.PADDED) !== 0;
    const start = (padded ? 1 : 0) + ((this.#flags & Flag.PRIORITY) !== 0 ? 5 : 0);
    const end = payload.length - (padded ? (payload[0] ?? 0) : 0);
    if (start > end) throw new ProtocolError('padding exceeds its frame');
    return payload.subarray(start, end);
  }
}
