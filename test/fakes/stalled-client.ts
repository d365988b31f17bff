import { once } from 'node:events';
import { connect, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import { connect as connectSocket } from 'node:net';

/** An empty request message. */
const EMPTY = Buffer.alloc(5);

/**
 * A gRPC client that calls a method and then reads nothing until the test says so, so that its HTTP/2
 * window (64 KiB) fills up. The clients of grpc-js read and buffer everything.
 */
export class StalledClient {
  private constructor(
    private readonly session: ClientHttp2Session,
    private readonly stream: ClientHttp2Stream,
  ) {}

  /** Resolves when the response has begun. @param path the method, as `/runtime.v1.RuntimeService/X`. */
  static async open(socketPath: string, path: string): Promise<StalledClient> {
    const session = connect('http://localhost', { createConnection: () => connectSocket(socketPath) });
    const stream = session.request(
      { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' },
      { endStream: false },
    );
    stream.on('error', () => undefined);
    stream.end(EMPTY);
    await once(stream, 'response');
    return new StalledClient(session, stream);
  }

  /** Reads the rest. @returns the number of bytes, and the final status and message. */
  async drain(): Promise<{ bytes: number; status: string; message: string }> {
    let bytes = 0;
    this.stream.on('data', (chunk: Buffer) => (bytes += chunk.length));
    const [trailers] = (await once(this.stream, 'trailers')) as [Record<string, string | undefined>];
    return {
      bytes,
      status: trailers['grpc-status'] ?? '',
      message: decodeURIComponent(trailers['grpc-message'] ?? ''),
    };
  }

  close(): void {
    this.session.destroy();
  }
}
