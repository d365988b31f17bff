import { FRAME_HEADER_BYTES, type FrameHeader, ProtocolError, readFrameHeader } from './frames';

/** Takes a whole frame. `bytes` begins with the frame's header, and its memory may belong to the chunk that brought it. */
export type OnFrame = (head: FrameHeader, bytes: Buffer) => void;

/** Cuts the bytes of one direction of a connection into frames, in whatever pieces they come. It keeps at most one frame. */
export class FrameReader {
  readonly #preface: Buffer;
  readonly #onFrame: OnFrame;
  #prefaceSeen = 0;
  /** What is here of the next frame. */
  #pieces: Buffer[] = [];
  #held = 0;
  /** How many bytes there must be before anything can be done. */
  #needed = FRAME_HEADER_BYTES;

  /** @param preface what stands before the first frame: a client's `PREFACE`, or nothing. */
  constructor(preface: Buffer, onFrame: OnFrame) {
    this.#preface = preface;
    this.#onFrame = onFrame;
  }

  /** @throws ProtocolError when the preface is another one, and whatever `onFrame` throws. Nothing may be fed after that. */
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

  /** Adds to the frame that has begun, each byte once, and hands it over when it is whole. @returns what is left. */
  #completed(chunk: Buffer): Buffer {
    const taken = chunk.subarray(0, this.#needed - this.#held);
    this.#hold(taken, this.#needed);
    const rest = chunk.subarray(taken.length);
    if (this.#held < this.#needed) return rest;
    const bytes = Buffer.concat(this.#pieces);
    const end = endOfFrame(bytes) ?? FRAME_HEADER_BYTES;
    if (end > bytes.length) {
      // The header is whole, and tells how much is to come.
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
