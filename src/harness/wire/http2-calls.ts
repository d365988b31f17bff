import { constants } from 'node:http2';
import { FrameReader } from '../../lib/http2/frame-reader';
import {
  Flag,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  FrameType,
  HeaderBlock,
  PREFACE,
  ProtocolError,
  unpadded,
} from '../../lib/http2/frames';
import { HeaderDecoder } from '../../lib/http2/header-fields';
import { valueOf, type RawHeaders } from '../proxy/raw-headers';
import type { CallTap, EndedBy } from '../proxy/relay';
import type { Side } from './pieces';

/** grpc-go's limit for the header fields of a call. The recorder must be able to read everything that clients and runtimes accept. */
const MAX_HEADER_BYTES = 16 * 1024 * 1024;
const LIMITS = { frame: MAX_HEADER_BYTES, block: MAX_HEADER_BYTES };
const SETTINGS_HEADER_TABLE_SIZE = 1;
const SETTING_BYTES = 6;

export interface OpenedCall {
  readonly tap: Omit<CallTap, 'n'>;
  /** Called when the runtime has answered. `insideMs` is the sum of the times that the last bytes of the request and of the answer spent inside the proxy. */
  readonly answered: (insideMs: number) => void;
}

interface Call extends OpenedCall {
  insideMs: number;
  hasHeaders: boolean;
}

/** The state of decoding the bytes that one side sends. */
interface Direction {
  readonly reader: FrameReader;
  readonly fields: HeaderDecoder;
  /** A header block that is not complete yet. */
  block: HeaderBlock | undefined;
}

/** Finds the calls of an HTTP/2 connection in the bytes that pass in both directions. It only observes and sends nothing. */
export class Http2Calls {
  readonly #open: (path: string, headers: RawHeaders) => OpenedCall;
  readonly #calls = new Map<number, Call>();
  readonly #directions: Readonly<Record<Side, Direction>>;
  #lastStream = 0;
  #spentMs = 0;

  /** @param open is called for each new call, when the header fields of its request are complete. */
  constructor(open: (path: string, headers: RawHeaders) => OpenedCall) {
    this.#open = open;
    this.#directions = {
      client: this.#direction('client', PREFACE),
      runtime: this.#direction('runtime', Buffer.alloc(0)),
    };
  }

  /** The number of calls that have begun and not ended. */
  get open(): number {
    return this.#calls.size;
  }

  /**
   * Decodes bytes that one side has sent.
   * @param spentMs how long these bytes spent inside the proxy; NaN if that is not known.
   * @throws ProtocolError and other errors if the bytes cannot be decoded. No later bytes of the connection can be decoded then.
   */
  feed(from: Side, chunk: Buffer, spentMs: number): void {
    this.#spentMs = spentMs;
    this.#directions[from].reader.feed(chunk);
  }

  /** Ends all open calls, because the connection has ended. */
  closed(by: EndedBy): void {
    const reset = by === 'client' ? constants.NGHTTP2_CANCEL : undefined;
    for (const id of this.#calls.keys()) this.#end(id, by, reset);
  }

  #direction(side: Side, preface: Buffer): Direction {
    const reader = new FrameReader(preface, (head, bytes) => this.#frame(side, head, bytes));
    return { reader, fields: new HeaderDecoder(MAX_HEADER_BYTES), block: undefined };
  }

  #frame(from: Side, head: FrameHeader, bytes: Buffer): void {
    const direction = this.#directions[from];
    if (direction.block !== undefined || head.type === FrameType.HEADERS) {
      this.#headerFrame(from, direction, head, bytes);
      return;
    }
    const payload = bytes.subarray(FRAME_HEADER_BYTES);
    switch (head.type) {
      case FrameType.DATA:
        this.#data(from, head, unpadded(payload, head.flags));
        return;
      case FrameType.RST_STREAM:
        this.#end(head.streamId, from, numberIn(payload, 0));
        return;
      case FrameType.SETTINGS:
        if ((head.flags & Flag.ACK) === 0) this.#settings(from, payload);
        return;
      case FrameType.GOAWAY:
        if (from === 'runtime') this.#goaway(numberIn(payload, 0) & 0x7fff_ffff);
        return;
      case FrameType.CONTINUATION:
        throw new ProtocolError('CONTINUATION without HEADERS');
      case FrameType.PUSH_PROMISE:
        throw new ProtocolError('PUSH_PROMISE, which gRPC does not use');
    }
  }

  #headerFrame(from: Side, direction: Direction, head: FrameHeader, bytes: Buffer): void {
    if (direction.block === undefined) direction.block = new HeaderBlock(head, bytes, 0, LIMITS);
    else direction.block.open(head, bytes, 0);
    const { block } = direction;
    if (block.missing > 0) block.fill(bytes, FRAME_HEADER_BYTES);
    if (!block.complete) return;
    direction.block = undefined;
    // The block of a call that has ended must be decoded too, because each block can change the HPACK table.
    const raw = direction.fields.decode(block.fragment()).flatMap(({ name, value }) => [name, value]);
    if (from === 'client') this.#requestFields(block, raw);
    else this.#answerFields(block, raw);
  }

  #requestFields({ streamId, endStream }: HeaderBlock, raw: RawHeaders): void {
    if (streamId > this.#lastStream) {
      this.#lastStream = streamId;
      const opened = this.#open(valueOf(raw, ':path') ?? '', raw);
      this.#calls.set(streamId, { ...opened, insideMs: 0, hasHeaders: false });
    }
    if (endStream) this.#requestEnds(streamId);
  }

  #answerFields({ streamId, endStream }: HeaderBlock, raw: RawHeaders): void {
    const call = this.#calls.get(streamId);
    if (call === undefined) return;
    const isInterim = !endStream && valueOf(raw, ':status')?.startsWith('1') === true;
    if (isInterim) return;
    if (!call.hasHeaders) call.tap.responseHeaders(raw);
    if (endStream) this.#answerEnds(streamId, call, call.hasHeaders ? raw : []);
    call.hasHeaders = true;
  }

  #data(from: Side, { streamId, flags }: FrameHeader, payload: Buffer): void {
    const call = this.#calls.get(streamId);
    if (call === undefined) return;
    const isEnd = (flags & Flag.END_STREAM) !== 0;
    if (from === 'client') {
      call.tap.requestBytes(payload);
      if (isEnd) this.#requestEnds(streamId);
    } else {
      call.tap.responseBytes(payload);
      if (isEnd) this.#answerEnds(streamId, call, []);
    }
  }

  #requestEnds(streamId: number): void {
    const call = this.#calls.get(streamId);
    if (call === undefined) return;
    call.insideMs += this.#spentMs;
    call.tap.requestPassed();
  }

  #answerEnds(streamId: number, call: Call, trailers: RawHeaders): void {
    call.tap.answered(trailers);
    call.answered(call.insideMs + this.#spentMs);
    this.#end(streamId, 'runtime', constants.NGHTTP2_NO_ERROR);
  }

  #end(streamId: number, by: EndedBy, reset: number | undefined): void {
    const call = this.#calls.get(streamId);
    this.#calls.delete(streamId);
    call?.tap.closed({ by, reset });
  }

  /** Applies the size of the HPACK table. A side announces the size that the other side may use. */
  #settings(from: Side, payload: Buffer): void {
    const { fields } = this.#directions[from === 'client' ? 'runtime' : 'client'];
    if (payload.length % SETTING_BYTES !== 0) throw new ProtocolError('a SETTINGS frame with a wrong length');
    for (let at = 0; at < payload.length; at += SETTING_BYTES)
      if (payload.readUInt16BE(at) === SETTINGS_HEADER_TABLE_SIZE)
        fields.allowTable(payload.readUInt32BE(at + 2));
  }

  /** Ends the calls after the last one that the runtime has processed. Clients can repeat these calls on another connection. */
  #goaway(lastStream: number): void {
    for (const id of this.#calls.keys())
      if (id > lastStream) this.#end(id, 'runtime', constants.NGHTTP2_REFUSED_STREAM);
  }
}

function numberIn(payload: Buffer, at: number): number {
  if (payload.length < at + 4) throw new ProtocolError('a frame that is too short');
  return payload.readUInt32BE(at);
}
