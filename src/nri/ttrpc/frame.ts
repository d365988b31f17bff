import { RuntimeError } from '../../lib/errors';
import { type MuxConnection, protocolError } from '../mux';

/**
 * ttrpc's frames (github.com/containerd/ttrpc, PROTOCOL.md): the length of the message and the id of the stream, 4 bytes each, most
 * significant byte first, then a byte for the type, a byte for flags, and the message.
 */
const HEADER_BYTES = 10;
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

export const REQUEST = 1;
export const RESPONSE = 2;
export const DATA = 3;

export interface Frame {
  readonly stream: number;
  readonly type: number;
  readonly flags: number;
  readonly message: Uint8Array;
}

/**
 * containerd's ttrpc reads through a buffer of this size, and NRI's multiplexer fails when a frame does not fit in what is being read.
 * So the first frame of a message must not be longer, and the rest must be one frame, because the multiplexer at the other end
 * keeps only 256 frames.
 */
const PEER_BUFFER_BYTES = 4096;

/** The error for a message that is too large to send. Nothing has been sent. */
export class OversizedMessageError extends RuntimeError {
  constructor(readonly bytes: number) {
    super('RESOURCE_EXHAUSTED', `the message has ${bytes} bytes; ttrpc allows ${MAX_MESSAGE_BYTES}`);
    this.name = 'OversizedMessageError';
  }
}

/** @throws OversizedMessageError */
export function sendFrame(
  connection: MuxConnection,
  stream: number,
  type: number,
  message: Uint8Array,
): void {
  if (message.length > MAX_MESSAGE_BYTES) throw new OversizedMessageError(message.length);
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(message.length, 0);
  header.writeUInt32BE(stream, 4);
  header.writeUInt8(type, 8);
  const inFirst = PEER_BUFFER_BYTES - HEADER_BYTES;
  const first = Buffer.concat([header, message.subarray(0, inFirst)]);
  connection.send(message.length > inFirst ? [first, message.subarray(inFirst)] : [first]);
}

/** Puts frames together from pieces. It keeps at most one message. */
export class FrameReader {
  private readonly header = Buffer.alloc(HEADER_BYTES);
  private headerBytes = 0;
  private message: Buffer | undefined;
  private messageBytes = 0;

  constructor(private readonly onFrame: (frame: Frame) => void) {}

  /** @throws RuntimeError when a message is longer than ttrpc allows. */
  receive(piece: Uint8Array): void {
    let rest = Buffer.from(piece.buffer, piece.byteOffset, piece.length);
    for (;;) {
      if (this.message === undefined) {
        const taken = rest.copy(this.header, this.headerBytes, 0, HEADER_BYTES - this.headerBytes);
        this.headerBytes += taken;
        rest = rest.subarray(taken);
        if (this.headerBytes < HEADER_BYTES) return;
        const length = this.header.readUInt32BE(0);
        if (length > MAX_MESSAGE_BYTES) throw protocolError(`a message of ${length} bytes`);
        this.message = Buffer.alloc(length);
        this.messageBytes = 0;
      }
      const taken = rest.copy(this.message, this.messageBytes);
      this.messageBytes += taken;
      rest = rest.subarray(taken);
      if (this.messageBytes < this.message.length) return;
      const { message } = this;
      this.message = undefined;
      this.headerBytes = 0;
      this.onFrame({
        stream: this.header.readUInt32BE(4),
        type: this.header.readUInt8(8),
        flags: this.header.readUInt8(9),
        message,
      });
      if (rest.length === 0) return;
    }
  }
}
