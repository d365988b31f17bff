import { mkdtemp, rm } from 'node:fs/promises';
import {
  createServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from 'node:http2';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { framed } from '../../../../src/harness/proxy/grpc-messages';
import type { RawHeaders } from '../../../../src/harness/proxy/raw-headers';
import { silentLogger, type Logger } from '../../../../src/lib/logger';
import { CriProxy } from '../../../../src/harness/proxy/cri-proxy';
import { relay, type CallTap, type IncomingCall } from '../../../../src/harness/proxy/relay';

export interface SeenCall {
  readonly path: string;
  readonly headers: RawHeaders;
  readonly stream: ServerHttp2Stream;
  readonly body: Buffer;
}

/** Limits for peers that send and accept more header fields than Node.js by default: 64 KiB and 128 fields. */
export const LONG_HEADERS = {
  settings: { maxHeaderListSize: 1_000_000 },
  maxSendHeaderBlockLength: 1_000_000,
  maxHeaderListPairs: 1_000,
};

/** A runtime on plain HTTP/2. The test decides each header field and byte of an answer. */
export class BareRuntime {
  readonly calls: SeenCall[] = [];
  /** Handles a call when the request is complete. */
  answer: (call: SeenCall) => void = (call) => this.reply(call, Buffer.from(call.body));
  readonly sessions = new Set<ServerHttp2Session>();
  private readonly sockets = new Set<Socket>();
  private onCall: () => void = () => undefined;

  private constructor(
    readonly directory: string,
    private readonly server: Http2Server,
  ) {
    server.on('connection', (socket: Socket) => {
      this.sockets.add(socket);
      socket.once('close', () => this.sockets.delete(socket));
    });
    server.on('session', (session) => {
      this.sessions.add(session);
      session.once('close', () => this.sessions.delete(session));
    });
    server.on('stream', (stream: ServerHttp2Stream, _headers: unknown, _flags: number, raw: RawHeaders) => {
      const chunks: Buffer[] = [];
      stream.on('error', () => undefined);
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const path = raw[raw.indexOf(':path') + 1] ?? '';
        const call = { path, headers: raw, stream, body: Buffer.concat(chunks) };
        this.calls.push(call);
        this.onCall();
        this.answer(call);
      });
    });
  }

  /** @param options for its HTTP/2 server. */
  static async start(options: ServerOptions = LONG_HEADERS): Promise<BareRuntime> {
    const directory = await mkdtemp(join(tmpdir(), 'dockbridge-harness-'));
    const server = createServer(options);
    const runtime = new BareRuntime(directory, server);
    server.listen(join(directory, 'runtime.sock'));
    await once(server, 'listening');
    return runtime;
  }

  get endpoint(): string {
    return `unix://${join(this.directory, 'runtime.sock')}`;
  }

  get proxyEndpoint(): string {
    return `unix://${join(this.directory, 'proxy.sock')}`;
  }

  /** Resolves when the next call is complete. */
  called(): Promise<void> {
    return new Promise((resolve) => (this.onCall = resolve));
  }

  /** Sends one or more framed messages, and the trailers of success. */
  reply({ stream }: SeenCall, data: Buffer, trailers: Record<string, string | string[]> = {}): void {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', ...trailers }));
    stream.end(data);
  }

  /** Ends the runtime's process with all its connections. */
  die(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    this.die();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
    await rm(this.directory, { recursive: true, force: true });
  }
}

const nothing = (): void => undefined;
export const NO_TAP: CallTap = {
  ...{ n: undefined, requestBytes: nothing, requestPassed: nothing, responseHeaders: nothing },
  ...{ responseBytes: nothing, answered: nothing, closed: nothing },
};

/** Starts a proxy in front of the runtime. */
export async function startProxy(
  runtime: BareRuntime,
  handle: (call: IncomingCall) => void = (call) => relay(call),
  tap: (path: string, headers: RawHeaders) => CallTap = () => NO_TAP,
  logger: Logger = silentLogger,
): Promise<CriProxy> {
  const { proxyEndpoint: listen, endpoint: upstream } = runtime;
  const proxy = new CriProxy({ listen, upstream, logger, tap, handle });
  await proxy.listen();
  return proxy;
}

const same = (bytes: Buffer): Buffer => bytes;

/** A client of raw bytes that uses grpc-js. */
export class BytesClient {
  private readonly client: grpc.Client;

  constructor(endpoint: string) {
    this.client = new grpc.Client(endpoint.replace('unix://', 'unix:'), grpc.credentials.createInsecure());
  }

  call(
    path: string,
    request: Buffer,
    options: grpc.CallOptions = {},
    metadata = new grpc.Metadata(),
  ): { readonly call: grpc.ClientUnaryCall; readonly answer: Promise<Buffer> } {
    let call!: grpc.ClientUnaryCall;
    const answer = new Promise<Buffer>((resolve, reject) => {
      call = this.client.makeUnaryRequest(path, same, same, request, metadata, options, (error, reply) => {
        if (error === null) resolve(reply ?? Buffer.alloc(0));
        else reject(error);
      });
    });
    answer.catch(() => undefined);
    return { call, answer };
  }

  stream(path: string, request: Buffer): grpc.ClientReadableStream<Buffer> {
    const stream = this.client.makeServerStreamRequest(path, same, same, request, new grpc.Metadata(), {});
    stream.on('error', () => undefined);
    return stream;
  }

  /** Returns the error of the call, which must fail. */
  async failure(...args: Parameters<BytesClient['call']>): Promise<grpc.ServiceError> {
    return this.call(...args).answer.then(
      () => {
        throw new Error('the call should have failed');
      },
      (error: unknown) => error as grpc.ServiceError,
    );
  }

  close(): void {
    this.client.close();
  }
}

/** Frames the message as it is on the wire. */
export const message = (text: string): Buffer => framed(Buffer.from(text), false);
