import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';

/** A call of the Engine API as the proxy sees it. */
export interface SeenCall {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Numbered from 0, in the order of arrival. */
  readonly number: number;
}

/**
 * What the proxy does with a call. `hang` before: the Engine never sees the call; after: the Engine answers,
 * and the client gets nothing. `cut` closes the connection after that many bytes of the answer. With 0, the
 * Engine has done its work, and the client gets no status.
 */
export type Fault =
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'hang'; readonly when: 'before' | 'after' }
  | { readonly kind: 'cut'; readonly afterBytes: number }
  | { readonly kind: 'fail'; readonly status: number; readonly message?: string }
  | { readonly kind: 'duplicate' };

/** Decides for each call. Undefined lets the call pass, or leaves it to the next rule. */
export type Rule = (call: SeenCall) => Fault | undefined;

/** Returns a rule for calls whose `METHOD /path` matches. It applies at most `times` times. */
export function onCalls(pattern: RegExp, fault: Fault, times = Infinity): Rule {
  let left = times;
  return ({ method, path }) => (pattern.test(`${method} ${path}`) && left-- > 0 ? fault : undefined);
}

interface Held {
  readonly call: SeenCall;
  readonly release: () => void;
}

/** Stands between the daemon and dockerd on a socket of its own, and applies its rules to each call. */
export class EngineProxy {
  /** All calls so far. */
  readonly calls: SeenCall[] = [];
  private rules: Rule[] = [];
  private readonly held = new Set<Held>();
  private readonly clients = new Map<Socket, SeenCall>();
  private readonly watchers = new Set<() => void>();
  private engineSocket: string;

  private constructor(
    private readonly directory: string,
    private readonly server: Server,
    dockerHost: string,
  ) {
    this.engineSocket = new URL(dockerHost).pathname;
  }

  /** @param dockerHost `unix:///path` of the real Engine. */
  static async start(dockerHost: string): Promise<EngineProxy> {
    const directory = await mkdtemp(join(tmpdir(), 'dockbridge-proxy-'));
    // dockerd closes no idle connection either. A call could otherwise be sent on a connection that is
    // being closed.
    const server = createServer({ requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 0 });
    const proxy = new EngineProxy(directory, server, dockerHost);
    server.on('connection', (socket) => socket.on('error', () => undefined));
    server.on('request', (call, reply) => void proxy.serve(call, reply));
    server.on(
      'upgrade',
      (call: IncomingMessage, socket: Socket, head) => void proxy.tunnel(call, socket, head),
    );
    await new Promise<void>((resolve) => server.listen(join(directory, 'docker.sock'), resolve));
    return proxy;
  }

  get dockerHost(): string {
    return `unix://${join(this.directory, 'docker.sock')}`;
  }

  /** The calls that hang at the moment. */
  get hanging(): readonly SeenCall[] {
    return [...this.held].map(({ call }) => call);
  }

  /**
   * Sets the rules from now on. The first one that decides applies. Hanging calls continue to hang. Without
   * rules all calls pass.
   */
  obey(...rules: readonly Rule[]): void {
    this.rules = [...rules];
  }

  /** Releases hanging calls: they are passed on (`before`) or answered (`after`). */
  release(which: (call: SeenCall) => boolean = () => true): void {
    for (const one of [...this.held]) if (which(one.call)) one.release();
  }

  /** Removes all rules and releases all hanging calls. */
  heal(): void {
    this.obey();
    this.release();
  }

  /**
   * Closes the connections of all matching calls under way, such as the event stream's. @returns how many.
   */
  cut(which: (call: SeenCall) => boolean): number {
    const torn = [...this.clients].filter(([, call]) => which(call));
    for (const [socket] of torn) socket.destroy();
    return torn.length;
  }

  /** Resolves once `condition` holds. It is checked whenever a call arrives, hangs or ends. */
  async until(condition: (proxy: EngineProxy) => boolean): Promise<void> {
    if (condition(this)) return;
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (!condition(this)) return;
        this.watchers.delete(look);
        resolve();
      };
      this.watchers.add(look);
    });
  }

  async stop(): Promise<void> {
    this.obey();
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const socket of this.clients.keys()) socket.destroy();
    this.server.closeAllConnections();
    await closed;
    await rm(this.directory, { recursive: true, force: true });
  }

  private see(message: IncomingMessage): { call: SeenCall; fault: Fault | undefined } {
    const url = new URL(message.url ?? '/', 'http://engine');
    const { pathname: path, searchParams: query } = url;
    const call = { method: message.method ?? '', path, query, number: this.calls.length };
    this.calls.push(call);
    let fault: Fault | undefined;
    for (const rule of this.rules) fault ??= rule(call);
    const { socket } = message;
    this.clients.set(socket, call);
    this.tellWatchers();
    return { call, fault };
  }

  private async serve(message: IncomingMessage, reply: ServerResponse): Promise<void> {
    const { call, fault } = this.see(message);
    const gone = new Promise<void>((resolve) => reply.once('close', resolve));
    void gone.then(() => this.left(message.socket, call));
    try {
      const duplicated = fault?.kind === 'duplicate' ? await buffer(message) : undefined;
      await this.before(call, fault, gone);
      if (reply.destroyed) return;
      if (fault?.kind === 'fail') {
        fail(reply, fault);
        return;
      }
      if (duplicated !== undefined) await this.forward(message, duplicated).then((first) => buffer(first));
      const answer = await this.forward(message, duplicated ?? message, reply);
      if (fault?.kind === 'hang' && fault.when === 'after') await this.hang(call, gone);
      await pass(answer, reply, fault?.kind === 'cut' ? fault.afterBytes : Infinity);
    } catch {
      reply.destroy();
    }
  }

  /** A hijacked connection passes bytes in both directions. */
  private async tunnel(message: IncomingMessage, client: Socket, head: Buffer): Promise<void> {
    const { call, fault } = this.see(message);
    const gone = new Promise<void>((resolve) => client.once('close', resolve));
    void gone.then(() => this.left(client, call));
    await this.before(call, fault, gone);
    if (client.destroyed) return;
    if (fault?.kind === 'fail') {
      client.end(`HTTP/1.1 ${fault.status} Fault\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      return;
    }
    const engine = connect({ path: this.engineSocket, allowHalfOpen: true });
    engine.on('error', () => client.destroy());
    client.on('close', () => engine.destroy()).on('error', () => engine.destroy());
    engine.on('close', () => client.destroy());
    engine.write(headOf(message));
    engine.write(head);
    client.pipe(engine);
    if (fault?.kind === 'hang') await this.hang(call, gone);
    if (fault?.kind !== 'cut') engine.pipe(client);
    else await pass(engine, client, fault.afterBytes);
  }

  private async before(call: SeenCall, fault: Fault | undefined, gone: Promise<void>): Promise<void> {
    if (fault?.kind === 'hang' && fault.when === 'before') await this.hang(call, gone);
    if (fault?.kind !== 'delay') return;
    let timer!: NodeJS.Timeout;
    const over = new Promise<void>((resolve) => (timer = setTimeout(resolve, fault.ms)));
    await Promise.race([over, gone]);
    clearTimeout(timer);
  }

  /** Holds a call until it is released or the client goes away. */
  private async hang(call: SeenCall, gone: Promise<void>): Promise<void> {
    const released = new Promise<void>((resolve) => {
      const one: Held = { call, release: () => resolve(void this.held.delete(one)) };
      this.held.add(one);
      void gone.then(one.release);
    });
    this.tellWatchers();
    await released;
    this.tellWatchers();
  }

  private forward(
    message: IncomingMessage,
    body: Buffer | Readable,
    reply?: ServerResponse,
  ): Promise<IncomingMessage> {
    const { method, url: path, headers } = message;
    return new Promise((resolve, reject) => {
      const onward = request({ socketPath: this.engineSocket, method, path, headers, agent: false }, resolve);
      onward.on('error', reject);
      // A client that goes away ends its request, and the Engine then ends a pull.
      reply?.once('close', () => onward.destroy());
      if (Buffer.isBuffer(body)) onward.end(body);
      else body.pipe(onward);
    });
  }

  private left(socket: Socket, call: SeenCall): void {
    if (this.clients.get(socket) === call) this.clients.delete(socket);
    this.tellWatchers();
  }

  private tellWatchers(): void {
    for (const look of [...this.watchers]) look();
  }
}

function fail(reply: ServerResponse, { status, message }: { status: number; message?: string }): void {
  reply.writeHead(status, { 'Content-Type': 'application/json' });
  reply.end(JSON.stringify({ message: message ?? 'a fault of the proxy' }));
}

/** Copies an answer, and closes the client's connection after `limit` bytes of it. */
async function pass(
  answer: IncomingMessage | Socket,
  reply: ServerResponse | Socket,
  limit: number,
): Promise<void> {
  let left = limit;
  if (left === 0) return void reply.destroy();
  if ('statusCode' in answer && 'writeHead' in reply) {
    reply.writeHead(answer.statusCode ?? 502, answer.headers);
    // A client that subscribes to events waits for the status line.
    reply.flushHeaders();
  }
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    if (reply.destroyed) break;
    const part = chunk.subarray(0, left);
    left -= part.length;
    if (!reply.write(part)) await drained(reply);
    if (left === 0) return void reply.destroy();
  }
  reply.end();
}

async function drained(reply: ServerResponse | Socket): Promise<void> {
  await new Promise<void>((resolve) => {
    const end = (): void => {
      reply.off('drain', end).off('close', end);
      resolve();
    };
    reply.on('drain', end).on('close', end);
  });
}

function headOf({ method, url, rawHeaders }: IncomingMessage): string {
  const lines = [`${method} ${url} HTTP/1.1`];
  for (let at = 0; at < rawHeaders.length; at += 2) lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}
