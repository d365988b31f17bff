import { FRAME_HEADER_BYTES, type FrameHeader, ProtocolError, readFrameHeader } from './frames';

/** Receives a whole frame. `bytes` begins with the frame's header and may share its memory with the chunk that was fed. */
export type OnFrame = (head: FrameHeader, bytes: Buffer) => void;

/** Cuts the bytes of one direction of a connection into frames, however they are divided into chunks. It keeps at most one frame. */
export class FrameReader {
  readonly #preface: Buffer;
  readonly #onFrame: OnFrame;
  #prefaceSeen = 0;
  /** The part of the next frame that has arrived. */
  #pieces: Buffer[] = [];
  #held = 0;
  /** How many bytes of it are needed for the next step: its header, then all of it. */
  #needed = FRAME_HEADER_BYTES;

  /** @param preface the bytes before the first frame: `PREFACE` for a client, an empty buffer for a server. */
  constructor(preface: Buffer, onFrame: OnFrame) {
    this.#preface = preface;
    this.#onFrame = onFrame;
  }

  /** @throws ProtocolError when the preface is wrong, and what `onFrame` throws. After an error no more may be fed. */
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
    // A copy: the piece may be the end of a much larger buffer, which would stay with it.
    this.#pieces.push(Buffer.from(piece));
    this.#held += piece.length;
    this.#needed = needed;
  }

  /** Adds bytes to the frame that has begun, and passes it on when it is whole. @returns the bytes after it. */
  #completed(chunk: Buffer): Buffer {
    const taken = chunk.subarray(0, this.#needed - this.#held);
    this.#hold(taken, this.#needed);
    const rest = chunk.subarray(taken.length);
    if (this.#held < this.#needed) return rest;
    const bytes = Buffer.concat(this.#pieces);
    const end = endOfFrame(bytes) ?? FRAME_HEADER_BYTES;
    if (end > bytes.length) {
      // Now the header is whole and tells the length of the frame.
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

/** The length of the frame that begins here; undefined while its header is not whole. */
function endOfFrame(data: Buffer): number | undefined {
  return data.length < FRAME_HEADER_BYTES ? undefined : FRAME_HEADER_BYTES + data.readUIntBE(0, 3);
}
