import {
  connect,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { connect as connectSocket } from 'node:net';
import type { Duplex } from 'node:stream';
import { waitAtMost } from '../../lib/async/deadline';
import { messageOf } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import { socketPath } from '../../node/disk/socket-file';
import { SocketListener } from '../../server/listener/socket-listener';
import { OpenCalls } from './open-calls';
import type { RawHeaders } from './raw-headers';
import { valueOf } from './raw-headers';
import { answerError, type CallTap, type EndedBy, type IncomingCall } from './relay';

/** Streams and connections get this window. HTTP/2's own 64 KiB would make an answer of megabytes wait for its reader many times. */
const WINDOW_BYTES = 4 * 1024 * 1024;
/**
 * Limit in bytes for the header fields of a call in each direction, the same as grpc-go's; Node's own limit is 64 KiB. nghttp2
 * still takes at most 64 KiB for one field, and about 144 KiB for all of them.
 */
const MAX_HEADER_BYTES = 16 * 1024 * 1024;
/** Node's own limit is 128 fields. */
const MAX_HEADER_FIELDS = 65_536;
const OPTIONS = {
  settings: {
    initialWindowSize: WINDOW_BYTES,
    enablePush: false,
    maxHeaderListSize: MAX_HEADER_BYTES,
    // The name before RFC 9113; older versions of Node read only this one.
    maxHeaderSize: MAX_HEADER_BYTES,
  },
  maxSendHeaderBlockLength: MAX_HEADER_BYTES,
  maxHeaderListPairs: MAX_HEADER_FIELDS,
  // By default Node refuses streams on a connection that holds 10 MB, but a list of a large node is longer.
  maxSessionMemory: 4_096,
};

/** How long (ms) a connection that we close may take to write what was answered; its client may not be reading. */
const HANG_UP_MS = 1_000;
/** How long (ms) all connections together may take to close and to tell the ends of their calls. */
const CLOSE_MS = 3_000;

/** A client's connection. */
interface Connection {
  readonly calls: OpenCalls;
  readonly drop: (by: EndedBy) => void;
}

export interface CriProxyOptions {
  /** `unix:///path` for clients. */
  readonly listen: string;
  /** `unix:///path` of the runtime. */
  readonly upstream: string;
  readonly logger: Logger;
  /** Made for each call when its header fields are here. */
  readonly tap: (path: string, headers: RawHeaders) => CallTap;
  /** Handles a call; `relay` passes it on. */
  readonly handle: (call: IncomingCall) => void;
}

/**
 * A proxy of HTTP/2 streams, below gRPC: docs/adr/0072 says why. Each connection of a client has one of its own to the runtime,
 * and they end together, so clients see a restart of the runtime as they would without a proxy.
 */
export class CriProxy {
  readonly #options: CriProxyOptions;
  readonly #connections = new Set<Connection>();
  #listener: SocketListener | undefined;

  constructor(options: CriProxyOptions) {
    this.#options = options;
  }

  /** @throws RuntimeError when the endpoint is malformed or taken. */
  async listen(): Promise<void> {
    const { listen: endpoint, logger } = this.#options;
    // Before it listens, so that `close` meets it.
    this.#listener = new SocketListener({ endpoint, logger });
    await this.#listener.listen({
      createConnectionInjector: () => ({ injectConnection: (connection) => this.#accept(connection) }),
    });
  }

  /**
   * Accepts no new connections and drops the existing ones, as a restart of a runtime does. Resolves when the taps have heard
   * of the end of every call, or after 3 s.
   */
  async close(): Promise<void> {
    const listener = this.#listener;
    this.#listener = undefined;
    await listener?.close();
    const connections = [...this.#connections];
    for (const { drop } of connections) drop('proxy');
    const all = Promise.all(connections.map(({ calls }) => calls.done()));
    await waitAtMost('The end of the calls', CLOSE_MS, all).catch((error: unknown) =>
      this.#options.logger.warn('Not all calls have ended', { error: messageOf(error) }),
    );
  }

  /** A server of its own for each connection: Node does not tell which session belongs to which. */
  #accept(connection: Duplex): void {
    const server = createServer(OPTIONS);
    server.once('session', (session) => this.#join(session, connection));
    server.emit('connection', connection);
  }

  #join(session: ServerHttp2Session, connection: Duplex): void {
    const { upstream } = this.#options;
    const calls = new OpenCalls();
    const drop = (by: EndedBy): void => {
      calls.dropped(by);
      hangUp(connection);
    };
    const joined = { calls, drop };
    this.#connections.add(joined);
    void calls.done().then(() => this.#connections.delete(joined));
    const runtime = connect('http://localhost', {
      ...OPTIONS,
      createConnection: () => connectSocket(socketPath(upstream)),
    });
    let unreachable: string | undefined;
    session.setLocalWindowSize(WINDOW_BYTES);
    runtime.once('connect', () => runtime.setLocalWindowSize(WINDOW_BYTES));
    session.on('error', () => undefined);
    runtime.on('error', (error) => {
      if (runtime.connecting) unreachable = `${upstream} does not answer: ${messageOf(error)}`;
    });
    // A call that comes before the connection to the runtime is established waits here. It gets an answer even if the
    // connection fails.
    let waiting: IncomingCall[] | undefined = [];
    const handle = (call: IncomingCall): void => {
      if (unreachable !== undefined) answerError(call, 'UNAVAILABLE', unreachable);
      else this.#options.handle(call);
    };
    const handleAll = (): void => {
      const early = waiting ?? [];
      waiting = undefined;
      early.forEach(handle);
    };
    session.on(
      'stream',
      (stream: ServerHttp2Stream, _headers: IncomingHttpHeaders, _flags: number, raw: RawHeaders) => {
        const path = valueOf(raw, ':path') ?? '';
        const tap = calls.followed(this.#options.tap(path, raw));
        const call = {
          ...{ path, headers: raw, stream, runtime, tap, drop: () => drop('proxy') },
          warn: (text: string) => this.#options.logger.warn(text),
        };
        if (waiting === undefined) handle(call);
        else waiting.push(call);
      },
    );
    runtime.once('connect', handleAll);
    session.once('close', () => {
      runtime.destroy();
      calls.disconnected();
    });
    runtime.once('goaway', () => session.close());
    runtime.once('close', () => {
      handleAll();
      // If the runtime could not be reached at all, calls get an answer that says so.
      if (unreachable === undefined) drop('runtime');
      else session.close();
    });
  }
}

/**
 * Closes a connection as a dying server does: without resets, which a client would take for answers. What was answered before
 * goes out first, and HTTP/2 writes that at the end of a turn of the event loop. A client that does not read is not waited for.
 */
function hangUp(connection: Duplex): void {
  setImmediate(() => {
    const timer = setTimeout(() => connection.destroy(), HANG_UP_MS);
    connection.once('close', () => clearTimeout(timer));
    connection.end(() => connection.destroy());
  });
}
