import { createHash, type Hash } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { FRAME_HEADER_BYTES, PREFACE, readFrameHeader } from '../../../src/lib/http2/frames';

const DATA = 0;

/**
 * Stands between an HTTP/2 client and server, passes every byte on, and hashes the DATA frames of each
 * stream. Two of them, on both sides of a proxy, show whether the proxy changes anything.
 */
export class FrameSink {
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  private readonly requests: StreamHashes[] = [];
  private readonly answers: StreamHashes[] = [];

  private constructor(private readonly target: string) {
    this.server = createServer((client) => this.join(client));
  }

  static async start(listen: string, target: string): Promise<FrameSink> {
    const sink = new FrameSink(target);
    sink.server.listen(listen);
    await once(sink.server, 'listening');
    return sink;
  }

  /** Returns one hash for each stream with data, in an order that does not depend on connections. */
  hashes(): { requests: string[]; answers: string[] } {
    const of = (all: readonly StreamHashes[]): string[] => all.flatMap((one) => one.digests()).sort();
    return { requests: of(this.requests), answers: of(this.answers) };
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  private join(client: Socket): void {
    const target = connect(this.target);
    for (const [from, to, hashes, all] of [
      [client, target, new StreamHashes(PREFACE.length), this.requests],
      [target, client, new StreamHashes(0), this.answers],
    ] as const) {
      all.push(hashes);
      this.sockets.add(from);
      from.on('data', (chunk: Buffer) => {
        hashes.feed(chunk);
        to.write(chunk);
      });
      from.on('error', () => undefined);
      from.on('end', () => to.end());
      from.on('close', () => to.destroy());
    }
  }
}

class StreamHashes {
  private readonly streams = new Map<number, Hash>();
  private held: Buffer = Buffer.alloc(0);

  constructor(private skip: number) {}

  feed(chunk: Buffer): void {
    this.held = Buffer.concat([this.held, chunk]);
    if (this.held.length < this.skip) return;
    this.held = this.held.subarray(this.skip);
    this.skip = 0;
    while (this.held.length >= FRAME_HEADER_BYTES) {
      const { type, length, streamId } = readFrameHeader(this.held, 0);
      const end = FRAME_HEADER_BYTES + length;
      if (this.held.length < end) return;
      if (type === DATA && length > 0) {
        const hash = this.streams.get(streamId) ?? createHash('sha256');
        this.streams.set(streamId, hash.update(this.held.subarray(FRAME_HEADER_BYTES, end)));
      }
      this.held = this.held.subarray(end);
    }
  }

  digests(): string[] {
    return [...this.streams.values()].map((hash) => hash.copy().digest('hex'));
  }
}
