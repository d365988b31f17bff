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
} from '../../lib/http2/frames';
import { encodeLiterals, HeaderDecoder } from '../../lib/http2/header-fields';
import { needsRepair, repaired } from './authority';

/**
 * Inspects the bytes from a client and returns the bytes for the server. Normally these are the same bytes. If the first
 * request has an authority that Node refuses (nodejs/node#32326), they are the same frames with every header block
 * repaired. A Go client uses one authority for a whole connection, so the first request decides for all.
 */
export class FrameInspector {
  /**
   * Whether the client has sent its preface and SETTINGS. Such a client speaks HTTP/2 and may now wait for the server's
   * SETTINGS.
   */
  greeted = false;
  verdict: 'undecided' | 'valid' | 'repair' = 'undecided';
  readonly #decoder = new HeaderDecoder();
  #prefaceSeen = false;
  #awaitingAck = false;
  #carry: Buffer = Buffer.alloc(0);
  #passing = 0;
  #block: HeaderBlock | undefined;

  /** Whether the inspection is over, so that all further bytes go to the server uninspected. */
  isTransparent(): boolean {
    return this.verdict === 'valid' && !this.#awaitingAck;
  }

  /** Whether a header block has begun and not ended. */
  get midBlock(): boolean {
    return this.#block !== undefined;
  }

  /**
   * Called when dockbridge sends SETTINGS in place of the server. The client's first ACK answers that frame and must not
   * reach the server.
   */
  swallowAck(): void {
    this.#awaitingAck = true;
  }

  /**
   * Inspects bytes from the client and returns the bytes for the server.
   * @throws ProtocolError if the connection must be closed.
   */
  feed(chunk: Buffer): Buffer[] {
    if (this.isTransparent()) return [chunk];
    const data = this.#carry.length > 0 ? Buffer.concat([this.#carry, chunk]) : chunk;
    this.#carry = Buffer.alloc(0);
    const out: Buffer[] = [];
    let kept = 0; // data[kept..at] is passed on unchanged
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

  /** Returns the number of bytes to skip: the whole preface, or 0 while it is incomplete. */
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

  /** @returns true for a frame that is held back: a part of a header block, or the ACK that must not reach the server. */
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

  /** Returns the bytes that replace the block, or nothing while the block is incomplete. */
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
