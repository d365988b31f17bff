import { encodeLiterals, HeaderDecoder, needsRepair, repaired } from './header-fields';
import {
  Flag,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  FrameType,
  HeaderBlock,
  headerFrames,
  PREFACE,
  ProtocolError,
  readFrameHeader,
} from './http2-frames';

/**
 * Reads what a client sends and returns what the server shall read instead: the same bytes, or, once the first request
 * turned out to carry an authority that Node refuses, the same frames with every header block repaired
 * (nodejs/node#32326). One authority serves a whole Go connection, so the first request decides for all.
 */
export class FrameInspector {
  /** The client's preface and its SETTINGS came: it speaks HTTP/2 and now may wait for ours. */
  greeted = false;
  verdict: 'undecided' | 'valid' | 'repair' = 'undecided';
  readonly #decoder = new HeaderDecoder();
  #prefaceSeen = false;
  #awaitingAck = false;
  #carry: Buffer = Buffer.alloc(0);
  #passing = 0;
  #block: HeaderBlock | undefined;

  /** Nothing left to look for: the bytes of `feed` are the server's from here on, unread. */
  isTransparent(): boolean {
    return this.verdict === 'valid' && !this.#awaitingAck;
  }

  /** A header block has begun and not ended. */
  get midBlock(): boolean {
    return this.#block !== undefined;
  }

  /** We sent a SETTINGS frame in the server's stead: the client's first ACK answers that one, and is ours. */
  swallowAck(): void {
    this.#awaitingAck = true;
  }

  /** @throws ProtocolError: the connection is beyond repair. */
  feed(chunk: Buffer): Buffer[] {
    if (this.isTransparent()) return [chunk];
    const data = this.#carry.length > 0 ? Buffer.concat([this.#carry, chunk]) : chunk;
    this.#carry = Buffer.alloc(0);
    const out: Buffer[] = [];
    let kept = 0; // data[kept..at] goes out unchanged
    let at = this.#prefaceSeen ? 0 : this.#preface(data);
    while (at < data.length && !this.isTransparent()) {
      if (this.#passing > 0) {
        at += this.#pass(data.length - at);
        continue;
      }
      if (this.#block !== undefined && this.#block.missing > 0) {
        at += this.#block.fill(data, at);
        kept = at;
        out.push(...this.#endBlock());
        continue;
      }
      if (!this.#prefaceSeen || data.length - at < FRAME_HEADER_BYTES) break;
      const head = readFrameHeader(data, at);
      if (!this.#intercept(head, data, at)) {
        at += FRAME_HEADER_BYTES;
        continue;
      }
      if (at > kept) out.push(data.subarray(kept, at));
      at += FRAME_HEADER_BYTES;
      kept = at;
      out.push(...this.#endBlock());
    }
    if (this.isTransparent()) at = data.length;
    if (at > kept) out.push(data.subarray(kept, at));
    if (at < data.length) this.#carry = Buffer.from(data.subarray(at));
    return out;
  }

  /** Returns the bytes to skip: the whole preface, or none while it is incomplete. */
  #preface(data: Buffer): number {
    const length = Math.min(data.length, PREFACE.length);
    if (data.compare(PREFACE, 0, length, 0, length) !== 0) throw new ProtocolError('not an HTTP/2 client');
    this.#prefaceSeen = length === PREFACE.length;
    return this.#prefaceSeen ? length : 0;
  }

  #pass(available: number): number {
    const count = Math.min(this.#passing, available);
    this.#passing -= count;
    if (this.#passing === 0) this.greeted = true;
    return count;
  }

  /** True when the frame is ours: part of a header block, or the ACK we wait for. False: it passes. */
  #intercept(head: FrameHeader, data: Buffer, at: number): boolean {
    if (this.#block !== undefined) {
      this.#block.open(head, data, at);
      return true;
    }
    const isAck = head.type === FrameType.SETTINGS && (head.flags & Flag.ACK) !== 0;
    if (!this.greeted && (head.type !== FrameType.SETTINGS || isAck)) {
      throw new ProtocolError('the first frame is not SETTINGS');
    }
    if (isAck && this.#awaitingAck) {
      if (head.length > 0) throw new ProtocolError('SETTINGS acknowledged with a payload');
      this.#awaitingAck = false;
      return true;
    }
    if (head.type === FrameType.HEADERS && this.verdict !== 'valid') {
      this.#block = new HeaderBlock(head, data, at);
      return true;
    }
    this.#passing = head.length;
    this.#pass(0);
    return false;
  }

  /** What the server shall read for the block, if that is complete now. */
  #endBlock(): Buffer[] {
    const block = this.#block;
    if (block?.complete !== true) return [];
    this.#block = undefined;
    const fields = this.#decoder.decode(block.fragment());
    if (this.verdict === 'undecided') this.verdict = needsRepair(fields) ? 'repair' : 'valid';
    if (this.verdict === 'valid') return [block.original()];
    return [headerFrames(block.streamId, block.endStream, encodeLiterals(repaired(fields)))];
  }
}
