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

/** The flow-control window of streams and connections. With HTTP/2's default of 64 KiB, an answer of megabytes would wait for its reader many times. */
const WINDOW_BYTES = 4 * 1024 * 1024;
/**
 * The limit in bytes for the header fields of a call in each direction. It equals grpc-go's; the default of Node.js is 64 KiB. nghttp2
 * still accepts at most 64 KiB for one field, and about 144 KiB for all fields together.
 */
const MAX_HEADER_BYTES = 16 * 1024 * 1024;
/** The limit for the number of header fields. The default of Node.js is 128. */
const MAX_HEADER_FIELDS = 65_536;
const OPTIONS = {
  settings: {
    initialWindowSize: WINDOW_BYTES,
    enablePush: false,
    maxHeaderListSize: MAX_HEADER_BYTES,
    // Older versions of Node.js read only this name of the setting above.
    maxHeaderSize: MAX_HEADER_BYTES,
  },
  maxSendHeaderBlockLength: MAX_HEADER_BYTES,
  maxHeaderListPairs: MAX_HEADER_FIELDS,
  // By default, Node.js refuses streams on a connection that holds 10 MB, but a list of a large node can be longer.
  maxSessionMemory: 4_096,
};

/** How long a connection that is being closed may take to write the pending answers, ms. The client may have stopped reading. */
const HANG_UP_MS = 1_000;
/** How long all connections together may take to close and to report the ends of their calls, ms. */
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
  /** Creates a tap for each call when its header fields have arrived. */
  readonly tap: (path: string, headers: RawHeaders) => CallTap;
  /** Handles a call. For example, `relay` passes it on. */
  readonly handle: (call: IncomingCall) => void;
}

/**
 * A proxy for HTTP/2 streams, which does not use a gRPC library (docs/adr/0072 says why). Each client connection has a separate connection
 * to the runtime, and the two end together. Therefore clients see a restart of the runtime as they would without a proxy.
 */
export class CriProxy {
  readonly #options: CriProxyOptions;
  readonly #connections = new Set<Connection>();
  #listener: SocketListener | undefined;

  constructor(options: CriProxyOptions) {
    this.#options = options;
  }

  /** Opens the socket for clients. @throws RuntimeError if the endpoint is malformed or already in use. */
  async listen(): Promise<void> {
    const { listen: endpoint, logger } = this.#options;
    // The field is set before the socket listens, so that `close` can close it at any time.
    this.#listener = new SocketListener({ endpoint, logger });
    await this.#listener.listen({
      createConnectionInjector: () => ({ injectConnection: (connection) => this.#accept(connection) }),
    });
  }

  /**
   * Stops accepting connections and drops the existing ones, as a restart of a runtime does. Resolves when the end of every call has been
   * reported to its tap, or after 3 s.
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

  /** Creates a server for each connection, because Node.js does not report which session belongs to which connection. */
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
    // Calls that arrive before the connection to the runtime is established wait here. They get an answer even if the connection fails.
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
      // If the runtime could not be reached, the calls have been answered with an error, so the session is closed in the normal way.
      if (unreachable === undefined) drop('runtime');
      else session.close();
    });
  }
}

/**
 * Closes a connection as a server that exits does: without resets, which clients would treat as answers. Pending answers are written first;
 * HTTP/2 writes them at the end of a turn of the event loop. A client that does not read is disconnected after 1 s.
 */
function hangUp(connection: Duplex): void {
  setImmediate(() => {
    const timer = setTimeout(() => connection.destroy(), HANG_UP_MS);
    connection.once('close', () => clearTimeout(timer));
    connection.end(() => connection.destroy());
  });
}
