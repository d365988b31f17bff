import type { Duplex } from 'node:stream';
import {
  controlFrame,
  dataHeader,
  FLAG_FIN,
  FrameParser,
  FrameType,
  ResetStatus,
  SpdyError,
  words,
  type ControlFrame,
  type DataPiece,
} from './frames';
import { HeaderDecoder, HeaderEncoder, type Headers } from './headers';
import { waitingCost } from '../waiting-cost';
import { SpdyStream } from './stream';

export interface SpdyOptions {
  /** A server's own streams would have even ids, a client's have odd ones. */
  readonly role: 'server' | 'client';
  /** A stream that the peer opened; it was replied to already. */
  readonly onStream: (stream: SpdyStream) => void;
  /** Told, again and again, of the stream that has kept us from reading for `stuckMs`: most waits for its reader. */
  readonly onStuck?: (stream: SpdyStream) => void;
  readonly stuckMs?: number;
}

const MAX_STREAMS = 1000;
/** What may wait for the readers of all streams, as it costs memory, before we stop reading from the peer. */
const RECEIVE_BUDGET = 1024 * 1024;
/** Unsent bytes above which we stop reading: only replies to frames that a peer floods us with get that far. */
const SEND_LIMIT = 1024 * 1024;
/** While we do not read, only a write shows that the peer has gone. */
const PROBE_MS = 250;
const MAX_ID = 2 ** 31 - 1;

/**
 * SPDY/3.1 framing over any duplex stream; knows nothing of who uses it. Send windows are not honoured: the only
 * peers, built on Go's spdystream, never open them. The transport's own back-pressure bounds both directions.
 */
export class SpdyConnection {
  private readonly streams = new Map<number, SpdyStream>();
  private readonly parser = new FrameParser();
  private readonly decoder = new HeaderDecoder();
  private readonly encoder = new HeaderEncoder();
  private readonly sending: (() => void)[] = [];
  private inSendNext = false;
  private untaken = 0;
  private wake: (() => void) | undefined;
  private lastPeerId = 0;
  private nextId: number;
  private closing = false;

  constructor(
    private readonly transport: Duplex,
    private readonly options: SpdyOptions,
  ) {
    this.nextId = options.role === 'client' ? 1 : 2;
    transport.on('drain', () => this.sendNext());
    transport.on('error', () => undefined);
    transport.once('close', () => this.release());
  }

  /** Serves until the peer leaves, breaks the protocol or close() is called; never rejects. */
  async run(): Promise<void> {
    try {
      for await (const chunk of this.transport as AsyncIterable<Buffer>) {
        for (const frame of this.parser.parse(chunk)) {
          if (frame.kind === 'data') this.onData(frame);
          else await this.onControl(frame);
          while (this.isOverBudget() && !this.transport.destroyed) await this.relief();
          if (this.transport.destroyed) return;
        }
      }
    } catch (error) {
      if (error instanceof SpdyError) this.say(FrameType.GOAWAY, this.lastPeerId, 1);
    } finally {
      this.transport.destroy();
      this.release();
    }
  }

  /** Opens a stream of ours; it can be written at once. */
  open(headers: Headers): SpdyStream {
    const stream = new SpdyStream(this.nextId, headers, this.port);
    this.nextId += 2;
    this.streams.set(stream.id, stream);
    const head = Buffer.concat([words(stream.id, 0), Buffer.alloc(2)]);
    this.transport.write(
      controlFrame(FrameType.SYN_STREAM, 0, Buffer.concat([head, this.encoder.encode(headers)])),
    );
    return stream;
  }

  /** Says goodbye and closes our half once all that was written is sent; what the peer still says is dropped. */
  close(): void {
    if (this.closing) return;
    this.closing = true;
    this.say(FrameType.GOAWAY, this.lastPeerId, 0);
    this.transport.end();
    for (const stream of this.streams.values()) stream.resume();
  }

  private async onControl({ type, flags, payload }: ControlFrame): Promise<void> {
    switch (type) {
      case FrameType.SYN_STREAM:
        this.onOpen(
          payload.readUInt32BE(0) & MAX_ID,
          await this.decoder.decode(payload.subarray(10)),
          (flags & FLAG_FIN) !== 0,
        );
        return;
      case FrameType.SYN_REPLY:
      case FrameType.HEADERS:
        // Nobody needs them, but all header blocks are one zlib stream.
        await this.decoder.decode(payload.subarray(4));
        if ((flags & FLAG_FIN) !== 0) this.streamOf(payload)?.receive(Buffer.alloc(0), true);
        return;
      case FrameType.RST_STREAM:
        this.streamOf(payload)?.abandon(new Error('the peer has reset the stream'));
        return;
      case FrameType.PING:
        // Only the peer's own: an echo of an echo would go on for ever.
        if (this.isPeers(payload.readUInt32BE(0))) this.say(FrameType.PING, payload.readUInt32BE(0));
        return;
      case FrameType.GOAWAY:
      case FrameType.SETTINGS:
      case FrameType.WINDOW_UPDATE:
    }
  }

  private onOpen(id: number, headers: Headers, fin: boolean): void {
    if (!this.isPeers(id) || id <= this.lastPeerId) throw new SpdyError(`stream ${id} cannot be opened`);
    this.lastPeerId = id;
    if (this.closing || this.streams.size >= MAX_STREAMS) {
      this.say(FrameType.RST_STREAM, id, ResetStatus.REFUSED_STREAM);
      return;
    }
    const stream = new SpdyStream(id, headers, this.port);
    this.streams.set(id, stream);
    // At once: Go's client does not open the next one before.
    const block = this.encoder.encode(new Map());
    this.transport.write(controlFrame(FrameType.SYN_REPLY, 0, Buffer.concat([words(id), block])));
    if (fin) stream.receive(Buffer.alloc(0), true);
    this.options.onStream(stream);
  }

  /** Data of a stream that is gone is dropped: the peer may not know yet. */
  private onData({ streamId, payload, fin }: DataPiece): void {
    const stream = this.streams.get(streamId);
    if (stream === undefined) return;
    this.untaken += waitingCost(payload);
    stream.receive(payload, fin);
  }

  private streamOf(payload: Buffer): SpdyStream | undefined {
    return this.streams.get(payload.readUInt32BE(0) & MAX_ID);
  }

  private isPeers(id: number): boolean {
    return id % 2 === (this.options.role === 'server' ? 1 : 0) && id > 0;
  }

  private isOverBudget(): boolean {
    return this.untaken > RECEIVE_BUDGET || this.transport.writableLength > SEND_LIMIT;
  }

  /** Until a reader takes something, the peer reads, or it is gone. */
  private async relief(): Promise<void> {
    const began = performance.now();
    const probe = setInterval(() => {
      if (this.transport.writableLength === 0) this.say(FrameType.SETTINGS, 0);
      if (performance.now() - began >= (this.options.stuckMs ?? Infinity)) this.tellStuck();
    }, PROBE_MS);
    await new Promise<void>((resolve) => (this.wake = resolve));
    this.wake = undefined;
    clearInterval(probe);
  }

  private tellStuck(): void {
    const [fullest] = [...this.streams.values()].sort((one, other) => other.untaken - one.untaken);
    if (fullest !== undefined && fullest.untaken > 0) this.options.onStuck?.(fullest);
  }

  private say(type: ControlFrame['type'], ...numbers: number[]): void {
    if (!this.transport.writable) return;
    this.transport.write(controlFrame(type, 0, words(...numbers)));
  }

  private readonly port = {
    sendData: (id: number, data: Buffer, fin: boolean, done: (error?: Error | null) => void): void => {
      this.sending.push(() => {
        if (!this.transport.writable) {
          done(new Error('the connection is closed'));
          return;
        }
        this.transport.cork();
        this.transport.write(dataHeader(id, fin, data.length));
        if (data.length > 0) this.transport.write(data);
        this.transport.uncork();
        // Full: the next chunk of this stream waits with those of the others.
        if (this.transport.writableNeedDrain) this.sending.push(() => done());
        else done();
      });
      this.sendNext();
    },
    sendReset: (id: number): void => this.say(FrameType.RST_STREAM, id, ResetStatus.CANCEL),
    taken: (cost: number): void => {
      this.untaken -= cost;
      if (!this.isOverBudget()) this.wake?.();
    },
    grant: (id: number, bytes: number): void => this.say(FrameType.WINDOW_UPDATE, id, bytes),
    forget: (stream: SpdyStream): void => {
      this.streams.delete(stream.id);
    },
  };

  /** In turn, as long as the transport takes more. A sent chunk may bring the next one of its stream: no recursion. */
  private sendNext(): void {
    if (this.inSendNext) return;
    this.inSendNext = true;
    while (!this.transport.writableNeedDrain || this.transport.destroyed) {
      const next = this.sending.shift();
      if (next === undefined) break;
      next();
    }
    this.inSendNext = false;
    if (!this.isOverBudget()) this.wake?.();
  }

  /** The transport is gone: nobody waits for it any more. */
  private release(): void {
    this.decoder.close();
    for (const stream of this.streams.values()) stream.abandon(new Error('the connection is closed'));
    this.sendNext();
    this.wake?.();
  }
}
