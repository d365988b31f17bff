/** The parts of HTTP/2 framing (RFC 9113 §4) that the repair of authorities and the recorder need. */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
export const FRAME_HEADER_BYTES = 9;
/** The value of SETTINGS_MAX_FRAME_SIZE that Node's server announces. It is the protocol's default. */
export const MAX_FRAME_BYTES = 16_384;

export const FrameType = {
  ...{ DATA: 0x0, HEADERS: 0x1, RST_STREAM: 0x3, SETTINGS: 0x4 },
  ...{ PUSH_PROMISE: 0x5, GOAWAY: 0x7, CONTINUATION: 0x9 },
} as const;
export const Flag = { ACK: 0x1, END_STREAM: 0x1, END_HEADERS: 0x4, PADDED: 0x8, PRIORITY: 0x20 } as const;

export interface FrameHeader {
  readonly length: number;
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
}

/** Thrown when the peer has broken the protocol. This only closes the peer's connection. */
export class ProtocolError extends Error {}

/** Reads a frame's header. `data` must contain at least nine bytes from `at` on. */
export function readFrameHeader(data: Buffer, at: number): FrameHeader {
  return {
    length: data.readUIntBE(at, 3),
    type: data.readUInt8(at + 3),
    flags: data.readUInt8(at + 4),
    streamId: data.readUInt32BE(at + 5) & 0x7fff_ffff,
  };
}

export function frame(type: number, flags: number, streamId: number, payload: Buffer): Buffer {
  const whole = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length);
  whole.writeUIntBE(payload.length, 0, 3);
  whole.writeUInt8(type, 3);
  whole.writeUInt8(flags, 4);
  whole.writeUInt32BE(streamId, 5);
  payload.copy(whole, FRAME_HEADER_BYTES);
  return whole;
}

/** Returns one HEADERS frame and as many CONTINUATION frames as the block needs. */
export function headerFrames(streamId: number, endStream: boolean, block: Buffer): Buffer {
  const frames: Buffer[] = [];
  for (let at = 0; at === 0 || at < block.length; at += MAX_FRAME_BYTES) {
    const first = at === 0;
    const last = at + MAX_FRAME_BYTES >= block.length;
    const flags = (last ? Flag.END_HEADERS : 0) | (first && endStream ? Flag.END_STREAM : 0);
    const type = first ? FrameType.HEADERS : FrameType.CONTINUATION;
    frames.push(frame(type, flags, streamId, block.subarray(at, at + MAX_FRAME_BYTES)));
  }
  return Buffer.concat(frames);
}

/**
 * Returns the payload of a HEADERS or DATA frame without its padding and without the first `skip` bytes.
 * @throws ProtocolError when the padding is longer than the payload.
 */
export function unpadded(payload: Buffer, flags: number, skip = 0): Buffer {
  const padded = (flags & Flag.PADDED) !== 0;
  const start = (padded ? 1 : 0) + skip;
  const end = payload.length - (padded ? (payload[0] ?? 0) : 0);
  if (start > end) throw new ProtocolError('padding exceeds its frame');
  return payload.subarray(start, end);
}

const PRIORITY_BYTES = 5;

export interface BlockLimits {
  /** The most bytes that one frame may have, without its header. */
  readonly frame: number;
  /** The most bytes that all frames of a block may have together, with their headers. */
  readonly block: number;
}

/**
 * The usual limits. They are higher than nghttp2's own limits (64 KiB of fields, eight CONTINUATIONs), so that nghttp2 itself
 * answers a client that exceeds its limits.
 */
const LIMITS: BlockLimits = { frame: MAX_FRAME_BYTES, block: 256 * 1024 };

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

  /** `data` contains the header of the HEADERS frame at `at`. */
  constructor(
    head: FrameHeader,
    data: Buffer,
    at: number,
    private readonly limits = LIMITS,
  ) {
    this.streamId = head.streamId;
    this.endStream = (head.flags & Flag.END_STREAM) !== 0;
    this.open(head, data, at);
  }

  /** Begins the block's next frame. Any frame except a CONTINUATION of this block breaks the protocol. */
  open(head: FrameHeader, data: Buffer, at: number): void {
    const expected = this.#size === 0 ? FrameType.HEADERS : FrameType.CONTINUATION;
    if (head.type !== expected || head.streamId !== this.streamId) {
      throw new ProtocolError('a header block was interrupted by another frame');
    }
    if (head.length > this.limits.frame) throw new ProtocolError('oversized header frame');
    this.#size += FRAME_HEADER_BYTES + head.length;
    if (this.#size > this.limits.block) throw new ProtocolError('oversized header block');
    this.#frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + head.length);
    this.#filled = data.copy(this.#frame, 0, at, at + FRAME_HEADER_BYTES);
    this.#flags = head.flags;
    this.#endFrameIfFull();
  }

  /** How many bytes the current frame still lacks; 0 between two frames. */
  get missing(): number {
    return this.#frame.length - this.#filled;
  }

  /** Copies the bytes of the current frame from `data` and returns their number. */
  fill(data: Buffer, at: number): number {
    const taken = data.copy(this.#frame, this.#filled, at);
    this.#filled += taken;
    this.#endFrameIfFull();
    return taken;
  }

  /** Returns the frames as they were received. */
  original(): Buffer {
    return Buffer.concat(this.#frames);
  }

  /** Returns the HPACK bytes of the block, without padding and priority. */
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
    return unpadded(payload, this.#flags, (this.#flags & Flag.PRIORITY) !== 0 ? PRIORITY_BYTES : 0);
  }
}
