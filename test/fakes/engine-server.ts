import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Socket } from 'node:net';

/** One request and the ways to answer it, well or badly. */
export interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly socket: Socket;
  /** Absent for an upgrade: then the socket is the answer. */
  readonly response: ServerResponse;
  /** Resolves when the client has gone or everything was said. */
  readonly closed: Promise<void>;
}

export type Answer = (exchange: Exchange) => void;

/** An HTTP server on a unix socket that says what a test tells it: the faults that a real Engine has no command for. */
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
      // A request with a body and `Connection: Upgrade`: the body is the head of what follows, and not ours to read.
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

  /** How many connections are open: what a client left behind. */
  get connections(): number {
    return this.sockets.size;
  }

  /** From now on; by the order of requests when there are several, the last one for all that follow. */
  answers(...answers: [Answer, ...Answer[]]): void {
    const queue = [...answers];
    const last = answers.at(-1)!;
    this.answer = (exchange) => (queue.shift() ?? last)(exchange);
  }

  /** The request with this number (from 0), when it has come. */
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
      return;
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
      // A connection of several exchanges in turn has a listener for each.
      socket.setMaxListeners(0).once('close', () => resolve());
      response?.once('close', () => resolve());
    }),
  };
}

/** A whole answer, as JSON unless it is text. */
export function reply(status: number, body?: unknown): Answer {
  return ({ response }) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body));
  };
}

/** Says nothing; the client has to give up. */
export const hang: Answer = () => undefined;

/** Headers and a beginning, then nothing. */
export function stall(status: number, beginning: string): Answer {
  return ({ response }) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.write(beginning);
  };
}

/** Promises 1000 bytes, sends a beginning and drops the connection: dockerd was killed. */
export function tear(status: number, beginning: string): Answer {
  return ({ response, socket }) => {
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': '1000' });
    response.write(beginning, () => socket.destroy());
  };
}

/** A chunked stream that ends well after these pieces. */
export function chunks(...pieces: (string | Buffer)[]): Answer {
  return ({ response }) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    for (const piece of pieces) response.write(piece);
    response.end();
  };
}

/** The connection is gone before any answer. */
export const drop: Answer = ({ socket }) => {
  socket.destroy();
};

/** 101 and then raw bytes, in one packet with the headers; ends the connection when told so. */
export function upgrade(bytes: Buffer, end = true): Answer {
  return ({ socket }) => {
    const head =
      'HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n';
    socket.write(Buffer.concat([Buffer.from(head), bytes]));
    if (end) socket.end();
  };
}
