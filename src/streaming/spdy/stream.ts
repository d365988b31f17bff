import { Duplex } from 'node:stream';
import { waitingCost } from '../waiting-cost';
import type { Headers } from './headers';

const HIGH_WATER_MARK = 64 * 1024;
/** The largest payload of one data frame in bytes. It is limited so that streams take turns. */
const MAX_PIECE = 64 * 1024;
/** Half of the window that SPDY/3 grants at the start, in bytes. */
const WINDOW_STEP = 32 * 1024;

/** The functions of a connection that its streams use. */
export interface StreamPort {
  /** Sends data. Calls `done` when the bytes were sent, or when the connection was closed. */
  sendData(id: number, data: Buffer, fin: boolean, done: (error?: Error | null) => void): void;
  sendReset(id: number): void;
  /** Called when the stream's reader has taken data of this cost (waiting-cost.ts) from the queue. */
  taken(cost: number): void;
  grant(id: number, bytes: number): void;
  forget(stream: SpdyStream): void;
}

/** One SPDY stream as a Node stream: `end()` is its half-close, `destroy()` its reset. */
export class SpdyStream extends Duplex {
  private queue: Buffer[] = [];
  private wanted = false;
  private peerEnded = false;
  private ungranted = 0;
  /** Whether nothing more may be sent on this stream, because the peer has reset it or disconnected. */
  private silent = false;

  constructor(
    readonly id: number,
    readonly headers: Headers,
    private readonly connection: StreamPort,
  ) {
    // Data for the reader waits in this class's queue, where it is counted, so Node's own buffer has size 0.
    super({ readableHighWaterMark: 0, writableHighWaterMark: HIGH_WATER_MARK });
    // A reset is an ordinary end here, so the error needs no listener elsewhere.
    this.on('error', () => undefined);
  }

  /** The cost of the data that waits for the reader. */
  get untaken(): number {
    return this.queue.reduce((total, chunk) => total + waitingCost(chunk), 0);
  }

  /**
   * Called by the connection when data or the end arrives. Data that no reader has requested yet counts as untaken, and
   * data after the end is dropped.
   */
  receive(data: Buffer, fin: boolean): void {
    if (this.peerEnded) {
      this.connection.taken(waitingCost(data));
      return;
    }
    if (data.length > 0) this.queue.push(data);
    if (fin) this.peerEnded = true;
    if (this.wanted) this.hand();
  }

  /** Called by the connection when the peer has reset the stream or disconnected. */
  abandon(why?: Error): void {
    this.silent = true;
    this.destroy(why);
  }

  override _read(): void {
    this.wanted = true;
    this.hand();
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    const rest = chunk.subarray(MAX_PIECE);
    this.connection.sendData(this.id, chunk.subarray(0, MAX_PIECE), false, (error) => {
      if (rest.length === 0 || (error !== undefined && error !== null)) done(error);
      else this._write(rest, _, done);
    });
  }

  override _final(done: (error?: Error | null) => void): void {
    this.connection.sendData(this.id, Buffer.alloc(0), true, done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const { untaken } = this;
    this.queue = [];
    this.connection.taken(untaken);
    const complete = this.peerEnded && this.writableFinished;
    if (!this.silent && !complete) this.connection.sendReset(this.id);
    this.connection.forget(this);
    done(error);
  }

  private hand(): void {
    for (let chunk = this.queue.shift(); chunk !== undefined; chunk = this.queue.shift()) {
      this.connection.taken(waitingCost(chunk));
      this.grant(chunk.length);
      this.wanted = this.push(chunk);
      if (!this.wanted) return;
    }
    if (this.peerEnded) {
      this.wanted = false;
      this.push(null);
    }
  }

  private grant(bytes: number): void {
    this.ungranted += bytes;
    if (this.ungranted < WINDOW_STEP || this.peerEnded) return;
    this.connection.grant(this.id, this.ungranted);
    this.ungranted = 0;
  }
}
