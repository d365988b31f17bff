import type { Duplex } from 'node:stream';
import { SpdyConnection } from '../spdy/connection';
import type { SpdyStream } from '../spdy/stream';
import { forward, type Connect } from './forward';

interface HalfPair {
  readonly type: string;
  readonly stream: SpdyStream;
  readonly timer: NodeJS.Timeout;
}

/**
 * Port-forward over SPDY: a client opens a pair of streams for each connection, with the headers `streamtype` (error,
 * data), `port` and `requestid`. Resolves when the client has left.
 */
export async function forwardOverSpdy(transport: Duplex, connect: Connect, limitMs: number): Promise<void> {
  const halves = new Map<string, HalfPair>();
  const connection = new SpdyConnection(transport, {
    role: 'server',
    onStream: (stream) => {
      const type = stream.headers.get('streamtype')?.toLowerCase() ?? '';
      const port = parsePort(stream.headers.get('port'));
      if ((type !== 'error' && type !== 'data') || port === undefined) {
        stream.destroy();
        return;
      }
      const id = requestId(stream, type);
      const other = halves.get(id);
      if (other === undefined) {
        const timer = setTimeout(() => {
          halves.delete(id);
          stream.destroy();
        }, limitMs);
        halves.set(id, { type, stream, timer });
        return;
      }
      if (other.type === type) {
        stream.destroy();
        return;
      }
      halves.delete(id);
      clearTimeout(other.timer);
      const [data, error] = type === 'data' ? [stream, other.stream] : [other.stream, stream];
      void forward(connect, port, data, error);
    },
  });
  await connection.run();
  for (const { timer } of halves.values()) clearTimeout(timer);
}

/** Old clients send none; they open the error stream and then, with the next id, the data stream. */
function requestId(stream: SpdyStream, type: 'error' | 'data'): string {
  return stream.headers.get('requestid') ?? `stream ${type === 'error' ? stream.id : stream.id - 2}`;
}

function parsePort(text: string | undefined): number | undefined {
  const port = Number(text);
  return /^\d+$/.test(text ?? '') && port > 0 && port < 65_536 ? port : undefined;
}
