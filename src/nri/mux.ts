import type { Duplex } from 'node:stream';
import { RuntimeError } from '../lib/errors';

/**
 * NRI carries two connections over one socket (github.com/containerd/nri v0.12.0, pkg/net/multiplex). Every frame is the id of a
 * connection and the length of the payload, 4 bytes each, most significant byte first, and then the payload. Opening a connection
 * sends nothing: both ends know the ids.
 */
export const PLUGIN_CONNECTION = 1;
export const RUNTIME_CONNECTION = 2;

const HEADER_BYTES = 8;
/** The longest payload: the largest message of ttrpc, 4 MiB, with its header. */
export const MAX_PAYLOAD_BYTES = 4 * 1024 * 1024 + 10;
/** While more bytes than this wait for the peer, we read nothing from it, because its next requests would add more answers. */
const MAX_WAITING_BYTES = 8 * 1024 * 1024;

/** Gets the payloads of one connection. A frame may come in pieces, and `receive` must not keep a reference to a piece. */
export interface MuxReader {
  receive(piece: Uint8Array): void;
  /** The socket has closed. `reason` says why. */
  closed(reason: RuntimeError): void;
}

/** One end of one connection. */
export interface MuxConnection {
  /** Sends each payload as a frame of its own. After the socket has closed, does nothing. */
  send(payloads: readonly Uint8Array[]): void;
  /** Resolves when few bytes wait for the peer, and when the socket has closed. */
  drained(): Promise<void>;
  /** Closes the socket, and with it all connections. */
  close(reason: RuntimeError): void;
}

/** Divides one socket into connections. Nothing is read before `start`, so that no frame arrives before its connection is open. */
export class Mux {
  /** Resolves with the reason when the socket has closed. */
  readonly closed: Promise<RuntimeError>;
  private onClosed!: (reason: RuntimeError) => void;
  private readonly readers = new Map<number, MuxReader>();
  private readonly header = Buffer.alloc(HEADER_BYTES);
  private headerBytes = 0;
  private current: MuxReader | undefined;
  /** How many bytes of the current frame's payload are still to come. */
  private remaining = 0;
  private reason: RuntimeError | undefined;
  private drains: (() => void)[] = [];

  constructor(private readonly trunk: Duplex) {
    this.closed = new Promise((resolve) => (this.onClosed = resolve));
    trunk.on('error', (error) => this.close(ended(`the socket failed: ${error.message}`)));
    trunk.on('end', () => this.close(ended('the other end closed the connection')));
    trunk.on('close', () => this.close(ended('the socket is closed')));
    trunk.on('drain', () => this.onDrain());
  }

  /**
   * Opens a connection.
   * @throws Error when the id is 0, which is reserved, no 32-bit number, or already open.
   */
  open(id: number, reader: MuxReader): MuxConnection {
    if (!Number.isInteger(id) || id <= 0 || id > 0xffffffff)
      throw new Error(`no connection has the id ${id}`);
    if (this.readers.has(id)) throw new Error(`connection ${id} is open`);
    this.readers.set(id, reader);
    return {
      send: (payloads) => this.send(id, payloads),
      drained: () => this.drained(),
      close: (reason) => this.close(reason),
    };
  }

  start(): void {
    this.trunk.on('data', (chunk: Buffer) => this.parse(chunk));
  }

  /** Closes the socket at once. Bytes that wait are lost. */
  close(reason: RuntimeError): void {
    if (this.reason !== undefined) return;
    this.reason = reason;
    this.trunk.destroy();
    this.onDrain();
    for (const reader of this.readers.values()) reader.closed(reason);
    this.onClosed(reason);
  }

  private send(id: number, payloads: readonly Uint8Array[]): void {
    if (this.reason !== undefined) return;
    this.trunk.cork();
    for (const payload of payloads) {
      if (payload.length > MAX_PAYLOAD_BYTES) throw new Error(`a payload of ${payload.length} bytes`);
      const header = Buffer.alloc(HEADER_BYTES);
      header.writeUInt32BE(id, 0);
      header.writeUInt32BE(payload.length, 4);
      this.trunk.write(header);
      this.trunk.write(payload);
    }
    this.trunk.uncork();
    if (this.trunk.writableLength > MAX_WAITING_BYTES) this.trunk.pause();
  }

  private async drained(): Promise<void> {
    while (this.reason === undefined && this.trunk.writableNeedDrain)
      await new Promise<void>((resolve) => this.drains.push(resolve));
  }

  private onDrain(): void {
    if (this.trunk.isPaused()) this.trunk.resume();
    for (const resolve of this.drains.splice(0)) resolve();
  }

  private parse(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && this.reason === undefined) {
      if (this.remaining === 0) {
        at += this.parseHeader(chunk.subarray(at));
        continue;
      }
      const piece = chunk.subarray(at, at + this.remaining);
      at += piece.length;
      this.remaining -= piece.length;
      this.current?.receive(piece);
    }
  }

  private parseHeader(chunk: Buffer): number {
    const taken = chunk.copy(this.header, this.headerBytes, 0, HEADER_BYTES - this.headerBytes);
    this.headerBytes += taken;
    if (this.headerBytes < HEADER_BYTES) return taken;
    this.headerBytes = 0;
    const length = this.header.readUInt32BE(4);
    if (length > MAX_PAYLOAD_BYTES) this.close(protocolError(`a frame of ${length} bytes`));
    // NRI ignores the frames of connections that are not open.
    this.current = this.readers.get(this.header.readUInt32BE(0));
    this.remaining = length;
    return taken;
  }
}

/** The code of the error that ends a connection when it closes. */
function ended(message: string): RuntimeError {
  return new RuntimeError('UNAVAILABLE', message);
}

/** Makes the error for bytes that break the rules of the multiplexer or of ttrpc. */
export function protocolError(what: string): RuntimeError {
  return new RuntimeError('INTERNAL', `the other end broke the protocol: ${what}`);
}
