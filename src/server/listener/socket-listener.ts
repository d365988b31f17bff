import { once } from 'node:events';
import { fstat } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { promisify } from 'node:util';
import { ServerCredentials, type Server as GrpcServer } from '@grpc/grpc-js';
import { failedPrecondition, messageOf } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import { parseEndpoint, type Endpoint } from './endpoint';
import { Greeting } from './greeting';
import { listensAt, passedSocket } from './passed-socket';
import { SocketFile } from '../../node/disk/socket-file';

export interface SocketListenerOptions {
  /** `unix:///path`, `/path` or `fd://`. */
  readonly endpoint: string;
  readonly logger: Logger;
}

/** Accepts CRI clients of every age on a unix socket and hands their connections to grpc-js. */
export class SocketListener {
  readonly #endpoint: string;
  readonly #logger: Logger;
  readonly #greetings = new Set<Greeting>();
  #server: Server | undefined;
  #file: SocketFile | undefined;

  constructor(options: SocketListenerOptions) {
    this.#endpoint = options.endpoint;
    this.#logger = options.logger;
  }

  /**
   * Resolves, once clients can connect, with the address for the log (`unix:///path` or `fd://3`).
   * @throws RuntimeError when the endpoint is malformed, taken, or was not passed to us; else the system's error.
   */
  async listen(grpcServer: GrpcServer): Promise<{ address: string }> {
    if (this.#server !== undefined) throw failedPrecondition('the listener is listening already');
    const endpoint = parseEndpoint(this.#endpoint, process.env, process.pid);
    const injector = grpcServer.createConnectionInjector(ServerCredentials.createInsecure());
    const server = createServer((socket) => {
      const greeting = new Greeting(socket, {
        logger: this.#logger,
        inject: (connection) => injector.injectConnection(connection),
        ended: () => this.#greetings.delete(greeting),
      });
      this.#greetings.add(greeting);
    });
    this.#server = server;
    try {
      const address = await this.#bind(server, endpoint);
      // A failed accept (EMFILE): the next one may succeed.
      server.on('error', (error) =>
        this.#logger.error('accepting a connection failed', { error: messageOf(error) }),
      );
      return { address };
    } catch (error) {
      this.#server = undefined;
      server.close();
      throw error;
    }
  }

  /**
   * Stops accepting, drops connections that made no call yet, removes our socket file. Calls in progress go on: ending
   * them is `grpc.Server.tryShutdown`'s part. Safe to call twice and before `listen`.
   */
  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.remove();
    this.#server?.close();
    this.#server = undefined;
    for (const greeting of this.#greetings) greeting.abort();
  }

  async #bind(server: Server, endpoint: Endpoint): Promise<string> {
    if (endpoint.kind === 'fd') return takeOver(server, endpoint.fd);
    const { path } = endpoint;
    const fd = await this.#passedFor(path);
    if (fd !== undefined) return takeOver(server, fd);
    this.#file = await SocketFile.bind(server, path);
    return `unix://${path}`;
  }

  /** A socket unit that listens at our path has the file: systemd accepts there, and hands on what arrives. */
  async #passedFor(path: string): Promise<number | undefined> {
    const fd = passedSocket(process.env, process.pid);
    if (fd === undefined) return undefined;
    const where = await listensAt(fd, path);
    if (where === true) return fd;
    this.#logger.warn('Nobody answers on the socket that systemd listens on: the endpoint is another one', {
      socket: where,
      endpoint: path,
    });
    return undefined;
  }
}

async function takeOver(server: Server, fd: number): Promise<string> {
  const stats = await promisify(fstat)(fd).catch(() => undefined);
  if (stats?.isSocket() !== true)
    throw failedPrecondition(`endpoint fd://: descriptor ${fd} is not a socket`);
  server.listen({ fd });
  await once(server, 'listening');
  return `fd://${fd}`;
}
