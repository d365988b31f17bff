/** HTTP/2 framing (RFC 9113 §4), as much of it as the authority repair needs. */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
export const FRAME_HEADER_BYTES = 9;
/** SETTINGS_MAX_FRAME_SIZE as Node's server announces it (the protocol's default). */
export const MAX_FRAME_BYTES = 16_384;

export const FrameType = { HEADERS: 0x1, SETTINGS: 0x4, CONTINUATION: 0x9 } as const;
export const Flag = { ACK: 0x1, END_STREAM: 0x1, END_HEADERS: 0x4, PADDED: 0x8, PRIORITY: 0x20 } as const;

export interface FrameHeader {
  readonly length: number;
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
}

/** The peer broke the protocol: its connection must go, and nothing else. */
export class ProtocolError extends Error {}

/** `data` must hold nine bytes from `at` on. */
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

/** One HEADERS frame and as many CONTINUATION frames as the block needs. */
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
