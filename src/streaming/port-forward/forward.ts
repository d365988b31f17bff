import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { WebSocket } from 'ws';
import { failedPrecondition, messageOf, RuntimeError } from '../../lib/errors';
import { ended } from '../remotecommand/command-client';
import { SpdyConnection } from '../spdy/connection';
import type { SpdyStream } from '../spdy/stream';
import { WebSocketChannels, type ChannelProtocol } from '../websocket/channels';

/** Connects to one port. */
export type Connect = (port: number, signal: AbortSignal) => Promise<Duplex>;

/**
 * Serves one forwarded connection: copies bytes and half-closes in both directions until both sides have ended. If the
 * port does not answer, the error is written to `error`, and the rest of the session continues. Never rejects.
 */
export async function forward(connect: Connect, port: number, data: Duplex, error: Duplex): Promise<void> {
  // The client sends nothing on this stream.
  error.resume();
  const left = new AbortController();
  // The event is not 'end', because a client may end its half before the connection to the port is established.
  data.once('close', () => left.abort(new Error('the client has disconnected')));
  try {
    const socket = await connect(port, left.signal);
    await splice(data, socket);
  } catch (failure) {
    error.write(`port ${port}: ${messageOf(failure)}`);
    data.resume();
  } finally {
    await Promise.all([ended(data), ended(error)]);
    data.destroy();
    error.destroy();
  }
}

/**
 * Resolves when both directions have ended. An error on one side ends both sides. The error is not reported, because many
 * connections end this way.
 * @throws the error with which dockbridge itself destroyed the client's stream.
 */
async function splice(data: Duplex, socket: Duplex): Promise<void> {
  const both = await Promise.allSettled([pipeline(data, socket), pipeline(socket, data)]);
  socket.destroy();
  if (data.errored instanceof RuntimeError) throw data.errored;
  if (both.some(({ status }) => status === 'rejected')) data.destroy();
}

interface HalfPair {
  readonly type: string;
  readonly stream: SpdyStream;
  readonly timer: NodeJS.Timeout;
}

export interface ForwardTimes {
  /** How long the second stream of a pair may take to arrive, in ms. */
  readonly openMs: number;
  /** How long one connection may delay the others, in ms. */
  readonly stuckMs: number;
  /** Fires when the client has read nothing for too long. */
  readonly stalled: AbortSignal;
}

/**
 * Serves port-forward over SPDY. A client opens a pair of streams for each connection, with the headers `streamtype`
 * (error, data), `port` and `requestid`. Resolves when the client has disconnected.
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
      // A single connection delays no other connection, so its application may read slowly.
      if (live > 1)
        stream.destroy(
          failedPrecondition('the application does not read its input and delays the other connections'),
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

/**
 * Returns the id by which a pair of streams is matched. Old clients send no request id. They open the error stream and
 * then, with the next stream id, the data stream.
 */
function requestId(stream: SpdyStream, type: 'error' | 'data'): string {
  return stream.headers.get('requestid') ?? `stream ${type === 'error' ? stream.id : stream.id - 2}`;
}

function parsePort(text: string | undefined): number | undefined {
  const port = Number(text);
  return /^\d+$/.test(text ?? '') && port > 0 && port < 65_536 ? port : undefined;
}

/**
 * Serves the older form of port-forward. It has one connection for each port of the request, on channels 2n (data) and
 * 2n + 1 (error). Each channel begins with the port's number, little-endian. When all connections have ended, closes the
 * WebSocket and resolves.
 */
export async function forwardOverChannels(
  socket: WebSocket,
  protocol: ChannelProtocol,
  ports: readonly number[],
  connect: Connect,
  stalled: AbortSignal,
): Promise<void> {
  const channels = new WebSocketChannels(socket, protocol);
  const letGo = (): void => channels.close(messageOf(stalled.reason));
  stalled.addEventListener('abort', letGo, { once: true });
  const forwarded = ports.map(async (port, index) => {
    const number = Buffer.alloc(2);
    number.writeUInt16LE(port);
    const data = channels.open(2 * index);
    const error = channels.open(2 * index + 1);
    data.write(number);
    error.write(number);
    await forward(connect, port, data, error);
  });
  await Promise.all(forwarded);
  channels.close();
}
