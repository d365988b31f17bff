import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { messageOf } from '../../lib/errors';
import { frame, FrameType } from '../../lib/http2/frames';
import type { Logger } from '../../lib/logger';
import { FrameInspector } from './frame-inspector';

/** Time in ms within which a connection must send the HTTP/2 preface. Otherwise it is dropped. */
const PREFACE_MS = 10_000;
/** How long, in ms, a connection without a call is held. After that it is passed to grpc-js and still inspected. */
const FIRST_CALL_MS = 2_000;
/** Limit of held bytes. Beyond it, the connection is passed to grpc-js, which can limit the client. */
const MAX_HELD_BYTES = 256 * 1024;
const EMPTY_SETTINGS = frame(FrameType.SETTINGS, 0, 0, Buffer.alloc(0));

export interface NewConnectionOptions {
  readonly logger: Logger;
  /** Receives the connection: the socket itself if nothing needs repair, otherwise an InspectedConnection. */
  readonly inject: (connection: Duplex) => void;
  /** Called once, when the connection was passed to grpc-js or closed. */
  readonly ended: () => void;
}

/**
 * The beginning of a connection, until its first request shows whether it needs repair (ADR 0002).
 *
 * If the bytes are put back and grpc-js gets the socket itself, later calls cost nothing extra, because Node reads the
 * socket natively. Behind a Duplex, each call costs half as much again. A connection is therefore held until its first call.
 * grpc-go makes no call before it has the server's SETTINGS, so this class sends an empty SETTINGS frame and keeps the
 * ACK from nghttp2, which does not know of that frame. The server's own SETTINGS follow later, which the protocol allows
 * at any time.
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
    // An error may still be emitted, and it needs a listener.
    this.#socket.on('error', () => undefined);
  };

  #release(): void {
    clearTimeout(this.#timer);
    this.#options.ended();
    this.#socket.off('data', this.#onData);
    this.#socket.off('error', this.#giveUp).off('end', this.#giveUp).off('close', this.#giveUp);
  }
}

/**
 * Limit of a header block in ms. A client sends a block in one write, so a block that takes this long is an attack or
 * comes from a hung process.
 */
const BLOCK_MS = 10_000;

/** The connection that grpc-js uses in place of a socket whose bytes go through a `FrameInspector`. */
class InspectedConnection extends Duplex {
  readonly #socket: Socket;
  readonly #inspector: FrameInspector;
  #blockTimer: NodeJS.Timeout | undefined;

  /** Takes over the socket's data and errors. `head` contains the bytes that the inspector has passed on so far. */
  constructor(socket: Socket, inspector: FrameInspector, head: readonly Buffer[]) {
    super();
    this.#socket = socket;
    this.#inspector = inspector;
    // http2 stops listening once its session is gone. A later error must not end the daemon.
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

  /** Writes all pending chunks in one system call, because http2 writes a frame's header and payload separately. */
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
