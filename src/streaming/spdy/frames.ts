/** Thrown when the peer has broken the protocol. This only closes the peer's connection. */
export class SpdyError extends Error {
  override readonly name = 'SpdyError';
}

export const FrameType = {
  SYN_STREAM: 1,
  SYN_REPLY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  HEADERS: 8,
  WINDOW_UPDATE: 9,
} as const;

export type ControlType = (typeof FrameType)[keyof typeof FrameType];

/** Reasons for RST_STREAM. */
export const ResetStatus = { REFUSED_STREAM: 3, CANCEL: 5 } as const;

export const FLAG_FIN = 1;
export const HEADER_BYTES = 8;
/** Limit of a control frame, which is held in memory as a whole. Kubernetes' header blocks have about 100 bytes. */
export const MAX_CONTROL_BYTES = 16 * 1024;
const VERSION = 3;

/** A control frame whose length fits its type. `payload` contains the bytes after the frame header. */
export interface ControlFrame {
  readonly kind: 'control';
  readonly type: ControlType;
  readonly flags: number;
  readonly payload: Buffer;
}

/** A piece of a data frame as it arrived. `fin` is set on the last piece of the stream's last frame. */
export interface DataPiece {
  readonly kind: 'data';
  readonly streamId: number;
  readonly payload: Buffer;
  readonly fin: boolean;
}

export type Frame = ControlFrame | DataPiece;

/** Splits a byte stream into frames, however the stream was chunked. Data is passed on at once and never collected. */
export class FrameParser {
  private readonly header = Buffer.alloc(HEADER_BYTES);
  private headerFilled = 0;
  private data: { readonly streamId: number; readonly fin: boolean; remaining: number } | undefined;
  private control: { readonly frame: ControlFrame; filled: number } | undefined;

  /**
   * Yields the frames in a chunk, which may begin and end anywhere in a frame.
   * @throws SpdyError
   */
  *parse(chunk: Buffer): Generator<Frame> {
    let at = 0;
    while (at < chunk.length) {
      if (this.data !== undefined) {
        const { data } = this;
        const end = Math.min(chunk.length, at + data.remaining);
        data.remaining -= end - at;
        const last = data.remaining === 0;
        if (last) this.data = undefined;
        yield {
          kind: 'data',
          streamId: data.streamId,
          payload: chunk.subarray(at, end),
          fin: last && data.fin,
        };
        at = end;
      } else if (this.control !== undefined) {
        const { control } = this;
        const { payload } = control.frame;
        const taken = chunk.copy(payload, control.filled, at, at + payload.length - control.filled);
        control.filled += taken;
        at += taken;
        if (control.filled === payload.length) {
          this.control = undefined;
          yield control.frame;
        }
      } else {
        const taken = chunk.copy(this.header, this.headerFilled, at, at + HEADER_BYTES - this.headerFilled);
        this.headerFilled += taken;
        at += taken;
        if (this.headerFilled === HEADER_BYTES) {
          this.headerFilled = 0;
          const empty = this.begin();
          if (empty !== undefined) yield empty;
        }
      }
    }
  }

  /**
   * Begins the frame whose header is complete.
   * @returns the frame at once when it has no payload.
   */
  private begin(): Frame | undefined {
    const first = this.header.readUInt32BE(0);
    const flags = this.header.readUInt8(4);
    const length = this.header.readUIntBE(5, 3);
    if (first >>> 31 === 0) {
      const fin = (flags & FLAG_FIN) !== 0;
      if (length === 0) return { kind: 'data', streamId: first, payload: Buffer.alloc(0), fin };
      this.data = { streamId: first, fin, remaining: length };
      return undefined;
    }
    const version = (first >>> 16) & 0x7fff;
    if (version !== VERSION) throw new SpdyError(`version ${version} is not SPDY/3`);
    const type = knownType(first & 0xffff);
    if (!fits(type, length)) throw new SpdyError(`a frame of type ${type} cannot be ${length} bytes long`);
    this.control = { frame: { kind: 'control', type, flags, payload: Buffer.alloc(length) }, filled: 0 };
    return undefined;
  }
}

function knownType(type: number): ControlType {
  const known = Object.values(FrameType).find((value) => value === type);
  if (known === undefined) throw new SpdyError(`frame type ${type} is unknown`);
  return known;
}

/**
 * Whether a frame's length fits its type. No control frame may be empty, so a control frame always ends inside `parse`.
 */
function fits(type: ControlType, length: number): boolean {
  if (length > MAX_CONTROL_BYTES) return false;
  switch (type) {
    case FrameType.SYN_STREAM:
      return length > 10;
    case FrameType.SYN_REPLY:
    case FrameType.HEADERS:
      return length > 4;
    case FrameType.SETTINGS:
      return length >= 4 && (length - 4) % 8 === 0;
    case FrameType.PING:
      return length === 4;
    case FrameType.RST_STREAM:
    case FrameType.GOAWAY:
    case FrameType.WINDOW_UPDATE:
      return length === 8;
  }
}

export function controlFrame(type: ControlType, flags: number, payload: Buffer): Buffer {
  const frame = Buffer.alloc(HEADER_BYTES + payload.length);
  frame.writeUInt32BE((0x80000000 | (VERSION << 16) | type) >>> 0, 0);
  frame.writeUInt32BE(((flags << 24) | payload.length) >>> 0, 4);
  payload.copy(frame, HEADER_BYTES);
  return frame;
}

/** Returns the 8 bytes before the payload of a data frame. */
export function dataHeader(streamId: number, fin: boolean, length: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(streamId, 0);
  header.writeUInt32BE(((fin ? FLAG_FIN << 24 : 0) | length) >>> 0, 4);
  return header;
}

/** Returns a payload of 32-bit numbers, as used by RST_STREAM, PING, GOAWAY, WINDOW_UPDATE and SETTINGS. */
export function words(...numbers: number[]): Buffer {
  const payload = Buffer.alloc(4 * numbers.length);
  numbers.forEach((number, index) => payload.writeUInt32BE(number, 4 * index));
  return payload;
}
