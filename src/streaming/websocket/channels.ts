import { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import { waitingCost } from '../waiting-cost';

/** How a WebSocket subprotocol carries streams. */
export interface ChannelProtocol {
  /** The negotiated name; '' when the client offered none. */
  readonly name: string;
  /** The version of the remote command protocol, which determines the form of the final status. */
  readonly version: number;
  readonly base64: boolean;
  readonly closable: boolean;
}

const protocol = (prefix: string, version: number): ChannelProtocol[] =>
  [false, true].map((base64) => ({
    name: `${prefix}${base64 ? 'base64.' : ''}channel.k8s.io`,
    version,
    base64,
    closable: version >= 5 && !base64,
  }));

/** Base64 clients cannot send the 255 that ends a channel, so their input ends with the connection. */
const CHANNEL_PROTOCOLS: readonly ChannelProtocol[] = [
  ...protocol('v5.', 5),
  ...protocol('v4.', 4),
  ...protocol('', 1),
  { name: '', version: 1, base64: false, closable: false },
];

/** The protocol of port-forward with a complete SPDY connection inside the messages of a WebSocket. */
export const TUNNEL_PROTOCOL = 'SPDY/3.1+portforward.k8s.io';

export function channelProtocol(name: string): ChannelProtocol | undefined {
  return CHANNEL_PROTOCOLS.find((candidate) => candidate.name === name);
}

export const CHANNEL_PROTOCOL_NAMES: readonly string[] = CHANNEL_PROTOCOLS.map(({ name }) => name);

/** In version 5, the message `[255, channel]` means that the client has ended that channel. */
const CLOSE_CHANNEL = 255;
/** Limit in bytes of the memory for data that waits for the readers of all channels. Beyond it, reading from the client stops. */
const RECEIVE_BUDGET = 1024 * 1024;
const PROBE_MS = 250;
/** These are status codes of RFC 6455, section 7.4.1. A code and its reason share a control frame of 125 bytes. */
const NORMAL = 1000;
const POLICY_VIOLATION = 1008;
const MAX_REASON_BYTES = 123;

export interface ChannelFormat {
  /** Whether messages are text: the channel's digit, followed by base64. */
  readonly base64: boolean;
  /** Whether the client can end its input (version 5). */
  readonly closable: boolean;
}

/** Several byte streams over one WebSocket. The first byte of a message is the channel's number. */
export class WebSocketChannels {
  private readonly channels = new Map<number, Channel>();
  private untaken = 0;
  private probe: NodeJS.Timeout | undefined;
  private readonly leaving = new AbortController();

  constructor(
    private readonly socket: WebSocket,
    private readonly format: ChannelFormat,
  ) {
    socket.on('message', (data, isBinary) => this.onMessage(asBuffer(data), isBinary));
    socket.once('close', () => this.onClose());
    // The socket was paused by the caller, so that no data arrives before the channels are open.
    socket.resume();
  }

  /** Fires when the connection is closed. */
  get gone(): AbortSignal {
    return this.leaving.signal;
  }

  /** Opens a channel. Messages of channels that were not opened are dropped. */
  open(number: number): Duplex {
    const channel = new Channel(
      (data, done) => this.send(number, data, done),
      (cost) => this.taken(cost),
    );
    this.channels.set(number, channel);
    return channel;
  }

  /**
   * Starts the closing handshake. The connection ends when the client has answered.
   * @param why the reason for dropping the client. With a reason, the close code is "policy violation" instead of "normal".
   */
  close(why?: string): void {
    this.unpause();
    for (const channel of this.channels.values()) channel.resume();
    if (why === undefined) this.socket.close(NORMAL);
    else this.socket.close(POLICY_VIOLATION, Buffer.from(why).subarray(0, MAX_REASON_BYTES));
  }

  private send(number: number, data: Buffer, done: (error?: Error | null) => void): void {
    const message = this.format.base64
      ? `${number}${data.toString('base64')}`
      : Buffer.concat([Buffer.from([number]), data]);
    this.socket.send(message, { binary: !this.format.base64 }, (error) => done(error ?? null));
  }

  private onMessage(message: Buffer, isBinary: boolean): void {
    if (message.length === 0) return;
    if (isBinary && this.format.closable && message[0] === CLOSE_CHANNEL && message.length === 2) {
      this.channels.get(message[1] ?? -1)?.receive(null);
      return;
    }
    const number = this.format.base64 ? Number(message.toString('latin1', 0, 1)) : (message[0] ?? -1);
    const channel = this.channels.get(number);
    if (channel === undefined) return;
    const rest = message.subarray(1);
    const data = this.format.base64 ? Buffer.from(rest.toString('latin1'), 'base64') : rest;
    if (data.length === 0) return;
    this.untaken += waitingCost(data);
    channel.receive(data);
    if (this.untaken > RECEIVE_BUDGET) this.pause();
  }

  private taken(cost: number): void {
    this.untaken -= cost;
    if (this.untaken <= RECEIVE_BUDGET) this.unpause();
  }

  /**
   * Stops reading from the client. While nothing is read, only a failed write shows that the client has disconnected, so a
   * pong is sent at intervals. Unlike a ping, a pong asks for no answer, and an answer would not be read.
   */
  private pause(): void {
    if (this.probe !== undefined) return;
    this.socket.pause();
    this.probe = setInterval(() => {
      if (this.socket.bufferedAmount === 0) this.socket.pong();
    }, PROBE_MS);
  }

  private unpause(): void {
    if (this.probe === undefined) return;
    clearInterval(this.probe);
    this.probe = undefined;
    this.socket.resume();
  }

  private onClose(): void {
    clearInterval(this.probe);
    this.leaving.abort(new Error('the client has disconnected'));
    for (const channel of this.channels.values()) channel.destroy();
  }
}

class Channel extends Duplex {
  private queue: (Buffer | null)[] = [];
  private wanted = false;
  private inputEnded = false;

  constructor(
    private readonly send: (data: Buffer, done: (error?: Error | null) => void) => void,
    private readonly taken: (cost: number) => void,
  ) {
    // Data for the reader waits in this class's queue, where it is counted, so Node's own buffer has size 0.
    super({ autoDestroy: false, readableHighWaterMark: 0 });
    this.on('error', () => undefined);
  }

  receive(data: Buffer | null): void {
    if (this.inputEnded || this.destroyed) {
      this.taken(data === null ? 0 : waitingCost(data));
      return;
    }
    this.inputEnded = data === null;
    this.queue.push(data);
    if (this.wanted) this._read();
  }

  override _read(): void {
    this.wanted = true;
    while (this.wanted) {
      const data = this.queue.shift();
      if (data === undefined) return;
      if (data !== null) this.taken(waitingCost(data));
      this.wanted = this.push(data);
    }
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    this.send(chunk, done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    for (const data of this.queue.splice(0)) this.taken(data === null ? 0 : waitingCost(data));
    done(error);
  }
}

function asBuffer(data: RawData): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}
