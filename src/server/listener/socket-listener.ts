import { once } from 'node:events';
import { fstat } from 'node:fs';
import { readFile, readlink } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { isAbsolute } from 'node:path';
import type { Duplex } from 'node:stream';
import { promisify } from 'node:util';
import { ServerCredentials } from '@grpc/grpc-js';
import { failedPrecondition, invalidArgument, messageOf } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import { isSameSocket, SocketFile } from '../../node/disk/socket-file';
import { NewConnection } from './new-connection';

/** Where to listen: on a socket file that we create, or on a descriptor that systemd passed to us. */
export type Endpoint =
  { readonly kind: 'path'; readonly path: string } | { readonly kind: 'fd'; readonly fd: number };

/** sockaddr_un.sun_path holds 108 bytes with its terminating zero; libuv truncates a longer path. */
const MAX_PATH_BYTES = 107;

/** @throws RuntimeError naming what is allowed. */
export function parseEndpoint(endpoint: string, env: NodeJS.ProcessEnv, pid: number): Endpoint {
  if (endpoint === 'fd://') return { kind: 'fd', fd: requirePassedSocket(env, pid) };
  const path = endpoint.startsWith('unix://') ? endpoint.slice('unix://'.length) : endpoint;
  if (!isAbsolute(path) || path.endsWith('/') || path.includes('\0')) {
    const why = /^(tcp|https?):/i.test(endpoint)
      ? 'is refused: CRI knows no passwords, and whoever reached that port would be root on this node;'
      : 'is not supported:';
    throw invalidArgument(
      'endpoint',
      `"${endpoint}" ${why} use unix:///absolute/path, /absolute/path or fd:// (systemd socket activation)`,
    );
  }
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    throw invalidArgument(
      'endpoint',
      `${path} is longer than a unix socket may be (${MAX_PATH_BYTES} bytes)`,
    );
  }
  return { kind: 'path', path };
}

function requirePassedSocket(env: NodeJS.ProcessEnv, pid: number): number {
  const fd = passedSocket(env, pid);
  if (fd === undefined) {
    throw failedPrecondition(
      'endpoint fd:// needs systemd socket activation, but no socket was passed to this process ' +
        `(LISTEN_FDS=${env.LISTEN_FDS ?? ''} LISTEN_PID=${env.LISTEN_PID ?? ''} pid=${pid}): ` +
        'start the .socket unit, or use unix:///path',
    );
  }
  return fd;
}

export interface SocketListenerOptions {
  /** `unix:///path`, `/path` or `fd://`. */
  readonly endpoint: string;
  readonly logger: Logger;
}

/** What serves the connections: a `Server` of grpc-js, or whatever else takes them (src/harness). */
export interface ConnectionTaker {
  createConnectionInjector(credentials: ServerCredentials): { injectConnection(connection: Duplex): void };
}

/** Accepts CRI clients of every age on a unix socket and hands their connections to grpc-js. */
export class SocketListener {
  readonly #endpoint: string;
  readonly #logger: Logger;
  readonly #newConnections = new Set<NewConnection>();
  #server: Server | undefined;
  #file: SocketFile | undefined;
  /** Resolves when the server is bound, or is not going to be. */
  #bound: Promise<void> | undefined;

  constructor(options: SocketListenerOptions) {
    this.#endpoint = options.endpoint;
    this.#logger = options.logger;
  }

  /**
   * Resolves, once clients can connect, with the address for the log (`unix:///path` or `fd://3`).
   * @throws RuntimeError when the endpoint is malformed, taken, or was not passed to us; else the system's error.
   */
  async listen(grpcServer: ConnectionTaker): Promise<{ address: string }> {
    return this.#begin(() => {
      const injector = grpcServer.createConnectionInjector(ServerCredentials.createInsecure());
      return createServer((socket) => {
        const connection = new NewConnection(socket, {
          logger: this.#logger,
          inject: (ready) => injector.injectConnection(ready),
          ended: () => this.#newConnections.delete(connection),
        });
        this.#newConnections.add(connection);
      });
    });
  }

  /** The same for whoever takes connections as they come, with nothing read from them. Each half of a socket ends by itself. */
  async listenForSockets(take: (socket: Socket) => void): Promise<{ address: string }> {
    return this.#begin(() => createServer({ allowHalfOpen: true }, take));
  }

  async #begin(serverOf: () => Server): Promise<{ address: string }> {
    if (this.#server !== undefined) throw failedPrecondition('the listener is listening already');
    const endpoint = parseEndpoint(this.#endpoint, process.env, process.pid);
    const server = serverOf();
    this.#server = server;
    const binding = this.#bind(server, endpoint);
    const settled = (): void => undefined;
    this.#bound = binding.then(settled, settled);
    try {
      const address = await binding;
      // A failed accept (EMFILE): the next one may succeed.
      server.on('error', (error) =>
        this.#logger.error('Cannot accept a connection', { error: messageOf(error) }),
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
   * them is `grpc.Server.tryShutdown`'s part. Safe to call twice, before `listen`, and while that is under way.
   */
  async close(): Promise<void> {
    await this.#bound;
    const file = this.#file;
    this.#file = undefined;
    await file?.remove();
    this.#server?.close();
    this.#server = undefined;
    for (const connection of this.#newConnections) connection.abort();
  }

  async #bind(server: Server, endpoint: Endpoint): Promise<string> {
    if (endpoint.kind === 'fd') return takeOver(server, endpoint.fd);
    const { path } = endpoint;
    const fd = await this.#passedFor(path);
    if (fd !== undefined) return takeOver(server, fd);
    this.#file = await SocketFile.bind(server, path);
    return `unix://${path}`;
  }

  /** Finds the descriptor of a systemd socket that listens at our path already. Its file belongs to the socket unit. */
  async #passedFor(path: string): Promise<number | undefined> {
    const fd = passedSocket(process.env, process.pid);
    if (fd === undefined) return undefined;
    const where = await listensAt(fd, path);
    if (where === true) return fd;
    this.#logger.warn(
      'Nobody answers on the socket from systemd, because --container-runtime-endpoint names another one',
      {
        socket: where,
        endpoint: path,
      },
    );
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

/** sd_listen_fds(3): the passed descriptors begin here. */
const FIRST_PASSED_FD = 3;

/**
 * The descriptor of the socket that systemd passed to this process; undefined when it passed none. sd_listen_fds(3): the
 * variables are meant for the process LISTEN_PID names, not for those that inherit them.
 */
export function passedSocket(env: NodeJS.ProcessEnv, pid: number): number | undefined {
  const count = Number(env.LISTEN_FDS);
  const isPassed = Number(env.LISTEN_PID) === pid && Number.isInteger(count) && count >= 1;
  return isPassed ? FIRST_PASSED_FD : undefined;
}

/**
 * Whether the descriptor listens at `path`, so that a file of our own there would only be in its way.
 * @param proc where /proc is; tests have their own.
 * @returns the other path where it does not.
 */
export async function listensAt(fd: number, path: string, proc = '/proc'): Promise<true | string> {
  const bound = await boundPath(fd, `${proc}/self`);
  return isSameSocket(bound, path) || bound;
}

/**
 * The path of the socket that systemd passed to a dockbridge that runs; '' where it has none, or none that can be seen.
 * @param proc where /proc is; tests have their own.
 */
export async function passedPath(pid: number, proc = '/proc'): Promise<string> {
  return boundPath(FIRST_PASSED_FD, `${proc}/${pid}`).catch(() => '');
}

/** @param process its directory in /proc. */
async function boundPath(fd: number, process: string): Promise<string> {
  const [, inode] = /^socket:\[(\d+)\]$/.exec(await readlink(`${process}/fd/${fd}`)) ?? [];
  const line = (await readFile(`${process}/net/unix`, 'utf8'))
    .split('\n')
    // Num RefCount Protocol Flags Type St Inode Path
    .find((row) => row.split(/\s+/)[6] === inode);
  return /^(?:\S+\s+){7}(.*)$/.exec(line ?? '')?.[1] ?? '';
}
