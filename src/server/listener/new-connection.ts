import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { messageOf } from '../../lib/errors';
import { frame, FrameType } from '../../lib/http2/frames';
import type { Logger } from '../../lib/logger';
import { FrameInspector } from './frame-inspector';

/** A connection that has not sent the HTTP/2 preface by then (ms) is dropped. */
const PREFACE_MS = 10_000;
/** How long (ms) we hold a connection without a call. After that grpc-js gets it, and it is still inspected. */
const FIRST_CALL_MS = 2_000;
/** Beyond this a client's early bytes go to grpc-js, which can push back. */
const MAX_HELD_BYTES = 256 * 1024;
const EMPTY_SETTINGS = frame(FrameType.SETTINGS, 0, 0, Buffer.alloc(0));

export interface NewConnectionOptions {
  readonly logger: Logger;
  /** Takes the connection over: the socket itself, if nothing needs repair. */
  readonly inject: (connection: Duplex) => void;
  /** Called once, when the connection was passed to grpc-js or closed. */
  readonly ended: () => void;
}

/**
 * The first moments of a connection, until its first request tells whether it needs repair (ADR 0002).
 *
 * A socket that we put back unread costs nothing afterwards (Node reads it natively); behind a Duplex each call costs half
 * as much again. So we hold the connection for as long as it has made no call. grpc-go makes none before it
 * has the server's SETTINGS: we send an empty one ourselves, and keep its ACK from nghttp2, which knows of no such
 * frame. The server's own SETTINGS follow, as they may at any time.
 */
export class NewConnection {
  readonly #socket: Socket;
  readonly #options: NewConnectionOptions;
  readonly #inspector = new FrameInspector();
  readonly #held: Buffer[] = [];
  #heldBytes = 0;
  #settingsSent = false;
  #timer: NodeJS.Timeout;

  constructor(socket: Socket, options: NewConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#timer = setTimeout(this.#giveUp, PREFACE_MS);
    socket
      .on('data', this.#onData)
      .on('error', this.#giveUp)
      .on('end', this.#giveUp)
      .on('close', this.#giveUp);
  }

  /** Drops the client. */
  abort(): void {
    this.#giveUp();
  }

  readonly #onData = (chunk: Buffer): void => {
    try {
      for (const piece of this.#inspector.feed(chunk)) this.#hold(piece);
    } catch (error) {
      this.#options.logger.debug(
        () => 'Dropped a connection',
        () => ({ error: messageOf(error) }),
      );
      this.#giveUp();
      return;
    }
    if (this.#inspector.isTransparent()) this.#handOver();
    else if (this.#inspector.verdict === 'repair' || this.#heldBytes > MAX_HELD_BYTES)
      this.#handOverInspected();
    else if (this.#inspector.greeted && !this.#settingsSent) this.#sendSettings();
  };

  #hold(piece: Buffer): void {
    this.#held.push(piece);
    this.#heldBytes += piece.length;
  }

  #sendSettings(): void {
    this.#settingsSent = true;
    this.#inspector.swallowAck();
    this.#socket.write(EMPTY_SETTINGS);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#handOverInspected, FIRST_CALL_MS);
  }

  #handOver(): void {
    const head = Buffer.concat(this.#held);
    this.#socket.pause();
    this.#socket.unshift(head);
    this.#options.inject(this.#socket);
    this.#release();
  }

  readonly #handOverInspected = (): void => {
    const connection = new InspectedConnection(this.#socket, this.#inspector, this.#held);
    this.#options.inject(connection);
    this.#release();
  };

  readonly #giveUp = (): void => {
    this.#socket.destroy();
    this.#release();
    // An error may still be emitted, and nobody else listens for it.
    this.#socket.on('error', () => undefined);
  };

  #release(): void {
    clearTimeout(this.#timer);
    this.#options.ended();
    this.#socket.off('data', this.#onData);
    this.#socket.off('error', this.#giveUp).off('end', this.#giveUp).off('close', this.#giveUp);
  }
}

/** A header block is one write of its client; one that takes this long in ms is an attack or a hung process. */
const BLOCK_MS = 10_000;

/** What grpc-js reads and writes in place of a socket whose bytes go through a `FrameInspector`. */
class InspectedConnection extends Duplex {
  readonly #socket: Socket;
  readonly #inspector: FrameInspector;
  #blockTimer: NodeJS.Timeout | undefined;

  /** `head` is what the inspector has let through so far. The socket's errors and data belong to this object now. */
  constructor(socket: Socket, inspector: FrameInspector, head: readonly Buffer[]) {
    super();
    this.#socket = socket;
    this.#inspector = inspector;
    // http2 stops listening once its session is gone; an error after that must not end the daemon.
    this.on('error', () => undefined);
    for (const piece of head) this.push(piece);
    this.#watchBlock();
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
  }

  #receive(chunk: Buffer): void {
    let room = true;
    try {
      for (const piece of this.#inspector.feed(chunk)) room = this.push(piece);
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    this.#watchBlock();
    if (!room) this.#socket.pause();
  }

  #watchBlock(): void {
    if (!this.#inspector.midBlock) {
      clearTimeout(this.#blockTimer);
      this.#blockTimer = undefined;
    } else {
      this.#blockTimer ??= setTimeout(() => this.destroy(), BLOCK_MS);
    }
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }

  /** Writes all pending chunks in one system call: http2 writes a frame's header and payload separately. */
  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#socket.cork();
    chunks.forEach(({ chunk }, index) => {
      this.#socket.write(chunk, index === chunks.length - 1 ? done : undefined);
    });
    this.#socket.uncork();
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#blockTimer);
    this.#socket.destroy();
    done(error);
  }
}
