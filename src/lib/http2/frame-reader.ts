import { FRAME_HEADER_BYTES, type FrameHeader, ProtocolError, readFrameHeader } from './frames';

/** Receives a complete frame. `bytes` begins with the frame's header and may share its memory with the chunk that was fed. */
export type OnFrame = (head: FrameHeader, bytes: Buffer) => void;

/**
 * Splits the bytes of one direction of a connection into frames, however the bytes are divided into chunks. It buffers at most
 * one frame.
 */
export class FrameReader {
  readonly #preface: Buffer;
  readonly #onFrame: OnFrame;
  #prefaceSeen = 0;
  /** The part of the next frame that has arrived. */
  #pieces: Buffer[] = [];
  #held = 0;
  /** How many bytes of the frame are needed for the next step: first the header, then the whole frame. */
  #needed = FRAME_HEADER_BYTES;

  /** @param preface the bytes before the first frame: `PREFACE` for a client, an empty buffer for a server. */
  constructor(preface: Buffer, onFrame: OnFrame) {
    this.#preface = preface;
    this.#onFrame = onFrame;
  }

  /**
   * Reads the next chunk, which may end anywhere in a frame.
   * @throws ProtocolError when the preface is wrong, and the errors of `onFrame`. After an error no more bytes may be fed.
   */
  feed(chunk: Buffer): void {
    let rest = this.#afterPreface(chunk);
    while (rest.length > 0) {
      if (this.#held > 0) rest = this.#completed(rest);
      else {
        const end = endOfFrame(rest);
        if (end === undefined || end > rest.length) {
          this.#hold(rest, end ?? FRAME_HEADER_BYTES);
          return;
        }
        this.#onFrame(readFrameHeader(rest, 0), rest.subarray(0, end));
        rest = rest.subarray(end);
      }
    }
  }

  #afterPreface(chunk: Buffer): Buffer {
    const wanted = this.#preface.subarray(this.#prefaceSeen, this.#prefaceSeen + chunk.length);
    if (wanted.length === 0) return chunk;
    if (!chunk.subarray(0, wanted.length).equals(wanted)) throw new ProtocolError('not an HTTP/2 client');
    this.#prefaceSeen += wanted.length;
    return chunk.subarray(wanted.length);
  }

  #hold(piece: Buffer, needed: number): void {
    // The piece is copied, because it may be the end of a much larger buffer, which would otherwise stay in memory.
    this.#pieces.push(Buffer.from(piece));
    this.#held += piece.length;
    this.#needed = needed;
  }

  /**
   * Adds bytes to the frame that has begun, and passes the frame on when it is complete.
   * @returns the bytes after the frame.
   */
  #completed(chunk: Buffer): Buffer {
    const taken = chunk.subarray(0, this.#needed - this.#held);
    this.#hold(taken, this.#needed);
    const rest = chunk.subarray(taken.length);
    if (this.#held < this.#needed) return rest;
    const bytes = Buffer.concat(this.#pieces);
    const end = endOfFrame(bytes) ?? FRAME_HEADER_BYTES;
    if (end > bytes.length) {
      // The header is complete now, so the length of the frame is known.
      this.#pieces = [bytes];
      this.#needed = end;
      return rest;
    }
    this.#pieces = [];
    this.#held = 0;
    this.#needed = FRAME_HEADER_BYTES;
    this.#onFrame(readFrameHeader(bytes, 0), bytes);
    return rest;
  }
}

/** Returns the length of the frame that begins here; undefined while its header is incomplete. */
function endOfFrame(data: Buffer): number | undefined {
  return data.length < FRAME_HEADER_BYTES ? undefined : FRAME_HEADER_BYTES + data.readUIntBE(0, 3);
}
