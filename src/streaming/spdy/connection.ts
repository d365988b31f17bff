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
  /** A server's own streams have even ids, and a client's have odd ids. */
  readonly role: 'server' | 'client';
  /** Called with a stream that the peer has opened, after the reply to the peer. */
  readonly onStream: (stream: SpdyStream) => void;
  /**
   * Called repeatedly while nothing has been read from the peer for `stuckMs`, with the stream that has the most data
   * waiting for its reader.
   */
  readonly onStuck?: (stream: SpdyStream) => void;
  readonly stuckMs?: number;
}

const MAX_STREAMS = 1000;
/** The memory that data may occupy while it waits for readers. Above this limit, nothing more is read from the peer. */
const RECEIVE_BUDGET = 1024 * 1024;
/** Unsent bytes above which nothing more is read. Only replies to a flood of frames reach this limit. */
const SEND_LIMIT = 1024 * 1024;
/** Interval of probes while nothing is read. During that time, only a write shows that the peer has disconnected. */
const PROBE_MS = 250;
const MAX_ID = 2 ** 31 - 1;

/**
 * SPDY/3.1 framing over any duplex stream. It knows nothing about the content of the streams. Send windows are ignored,
 * because all peers use Go's spdystream, which never enlarges them. The transport's own back-pressure limits both
 * directions.
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

  /** Serves the connection until the peer disconnects, breaks the protocol, or close() is called. Never rejects. */
  async run(): Promise<void> {
    try {
      // If the loop ends early, the iterator would destroy the transport before GOAWAY is sent, so this is disabled.
      const chunks: AsyncIterable<Buffer> = this.transport.iterator({ destroyOnReturn: false });
      for await (const chunk of chunks) {
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

  /** Opens a stream to the peer. Data can be written to it at once. */
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

  /** Sends GOAWAY and closes this side after all written data is sent. Data that the peer still sends is dropped. */
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
        // The headers are not needed, but all header blocks are one zlib stream, so this block must be decoded.
        await this.decoder.decode(payload.subarray(4));
        if ((flags & FLAG_FIN) !== 0) this.streamOf(payload)?.receive(Buffer.alloc(0), true);
        return;
      case FrameType.RST_STREAM:
        this.streamOf(payload)?.abandon(new Error('the peer has reset the stream'));
        return;
      case FrameType.PING:
        // Only pings of the peer are answered, because an echo of an echo would never end.
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
    // The reply is sent at once, because Go's client opens the next stream only after it.
    const block = this.encoder.encode(new Map());
    this.transport.write(controlFrame(FrameType.SYN_REPLY, 0, Buffer.concat([words(id), block])));
    if (fin) stream.receive(Buffer.alloc(0), true);
    this.options.onStream(stream);
  }

  /**
   * Passes data to its stream. Data of a closed stream is dropped, because the peer may not know yet that the stream is
   * closed.
   */
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

  /** Waits until a reader takes data, the peer reads, or the connection is closed. */
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
        // The transport is full, so this stream waits like the others.
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

  /**
   * Sends chunks in turn while the transport accepts more. A sent chunk may add the next chunk of its stream, so a loop
   * is used instead of recursion.
   */
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

  /** Releases everything that waits for a closed transport. */
  private release(): void {
    this.decoder.close();
    for (const stream of this.streams.values()) stream.abandon(new Error('the connection is closed'));
    this.sendNext();
    this.wake?.();
  }
}
