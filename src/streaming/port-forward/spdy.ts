import type { Duplex } from 'node:stream';
import { failedPrecondition } from '../../lib/errors';
import { SpdyConnection } from '../spdy/connection';
import type { SpdyStream } from '../spdy/stream';
import { forward, type Connect } from './forward';

interface HalfPair {
  readonly type: string;
  readonly stream: SpdyStream;
  readonly timer: NodeJS.Timeout;
}

export interface ForwardTimes {
  /** For the second stream of a pair to come. */
  readonly openMs: number;
  /** For one connection to hold up the others. */
  readonly stuckMs: number;
  /** Fires when the client has taken nothing for too long. */
  readonly stalled: AbortSignal;
}

/**
 * Port-forward over SPDY: a client opens a pair of streams for each connection, with the headers `streamtype` (error,
 * data), `port` and `requestid`. Resolves when the client has left.
 */
export async function forwardOverSpdy(
  transport: Duplex,
  connect: Connect,
  { openMs, stuckMs, stalled }: ForwardTimes,
): Promise<void> {
  const halves = new Map<string, HalfPair>();
  let live = 0;
  const connection = new SpdyConnection(transport, {
    role: 'server',
    stuckMs,
    onStuck: (stream) => {
      // Alone it harms nobody: its peer may take its time.
      if (live > 1)
        stream.destroy(
          failedPrecondition('the application does not read, and holds up the other connections'),
        );
    },
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
        }, openMs);
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
      live++;
      void forward(connect, port, data, error).then(() => live--);
    },
  });
  stalled.addEventListener('abort', () => connection.close(), { once: true });
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
