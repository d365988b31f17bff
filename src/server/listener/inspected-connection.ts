import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { FrameInspector } from './frame-inspector';

/** A header block is one write of its client; one that takes this long in ms is an attack or a hung process. */
const BLOCK_MS = 10_000;

/** What grpc-js reads and writes in place of a socket whose bytes go through a `FrameInspector`. */
export class InspectedConnection extends Duplex {
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
