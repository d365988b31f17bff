import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Socket } from 'node:net';

/** One request and the ways to answer it, correctly or not. */
export interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly socket: Socket;
  /** Absent for an upgrade, whose answer goes through the socket. */
  readonly response: ServerResponse;
  /** Resolves when the client has gone or the whole answer was sent. */
  readonly closed: Promise<void>;
}

export type Answer = (exchange: Exchange) => void;

/**
 * An HTTP server on a unix socket whose answers a test determines, including faults that a real Engine does
 * not produce on request.
 */
export class EngineServer {
  readonly exchanges: Exchange[] = [];
  private readonly waiting: (() => void)[] = [];
  private readonly sockets = new Set<Socket>();
  private answer: Answer = reply(500, { message: 'the test has not said what to answer' });

  private constructor(
    private readonly directory: string,
    private readonly server: Server,
  ) {}

  static async start(): Promise<EngineServer> {
    const directory = await mkdtemp(join(tmpdir(), 'dockbridge-engine-'));
    const server = createServer();
    const fake = new EngineServer(directory, server);
    server.on('connection', (socket: Socket) => {
      fake.sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => fake.sockets.delete(socket));
    });
    server.on('request', (request, response) => void fake.serve(request, response));
    server.on('upgrade', (request: IncomingMessage) => {
      // The body of a request with `Connection: Upgrade` is the beginning of the later stream, and must not be
      // read here.
      const { socket } = request;
      socket.resume().once('end', () => socket.destroy());
      fake.take(exchangeOf(request, '', undefined));
    });
    server.listen(fake.path);
    await once(server, 'listening');
    return fake;
  }

  get path(): string {
    return join(this.directory, 'docker.sock');
  }

  get endpoint(): string {
    return `unix://${this.path}`;
  }

  /** The number of open connections. */
  get connections(): number {
    return this.sockets.size;
  }

  /** Sets the answers from now on, in the order of requests. The last one repeats. */
  answers(...answers: [Answer, ...Answer[]]): void {
    const queue = [...answers];
    const last = answers.at(-1)!;
    this.answer = (exchange) => (queue.shift() ?? last)(exchange);
  }

  /** Returns the request with this number (from 0) when it has arrived. */
  async exchange(index = 0): Promise<Exchange> {
    for (;;) {
      const found = this.exchanges[index];
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
  }

  async close(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
    await closed;
    await rm(this.directory, { recursive: true, force: true });
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    try {
      for await (const chunk of request.setEncoding('utf8')) body += chunk as string;
    } catch {
      // A client with a short time limit may leave before its request has arrived whole. The exchange still happened.
    }
    this.take(exchangeOf(request, body, response));
  }

  private take(exchange: Exchange): void {
    this.exchanges.push(exchange);
    for (const wake of this.waiting.splice(0)) wake();
    this.answer(exchange);
  }
}

function exchangeOf(request: IncomingMessage, body: string, response: ServerResponse | undefined): Exchange {
  const url = new URL(request.url ?? '/', 'http://engine');
  const { socket } = request;
  return {
    method: request.method ?? '',
    path: url.pathname,
    query: url.searchParams,
    headers: request.headers,
    body,
    socket,
    response: response!,
    closed: new Promise((resolve) => {
      // A connection has a listener for each of its exchanges, so their number is not limited.
      socket.setMaxListeners(0).once('close', () => resolve());
      if (socket.destroyed) resolve();
      response?.once('close', () => resolve());
    }),
  };
}

/** Sends a complete answer, as JSON unless it is text. */
export function reply(status: number, body?: unknown): Answer {
  return ({ response }) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body));
  };
}

/** Sends nothing, so that the client has to give up. */
export const hang: Answer = () => undefined;

/** Sends headers and a beginning, then nothing. */
export function stall(status: number, beginning: string): Answer {
  return ({ response }) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.write(beginning);
  };
}

/** Promises 1000 bytes, sends a beginning and drops the connection, as a killed dockerd does. */
export function tear(status: number, beginning: string): Answer {
  return ({ response, socket }) => {
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': '1000' });
    response.write(beginning, () => socket.destroy());
  };
}

/** Sends a chunked stream that ends properly after these pieces. */
export function chunks(...pieces: (string | Buffer)[]): Answer {
  return ({ response }) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    for (const piece of pieces) response.write(piece);
    response.end();
  };
}

/** Closes the connection before any answer. */
export const drop: Answer = ({ socket }) => {
  socket.destroy();
};

/** Sends 101 and then raw bytes, in one packet with the headers, and ends the connection if `end` is set. */
export function upgrade(bytes: Buffer, end = true): Answer {
  return ({ socket }) => {
    const head =
      'HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n';
    socket.write(Buffer.concat([Buffer.from(head), bytes]));
    if (end) socket.end();
  };
}
