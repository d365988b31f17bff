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

/** Where to listen: on a socket file that dockbridge creates, or on a descriptor that systemd passed to it. */
export type Endpoint =
  { readonly kind: 'path'; readonly path: string } | { readonly kind: 'fd'; readonly fd: number };

/** sockaddr_un.sun_path holds 108 bytes including the terminating zero, and libuv truncates longer paths. */
const MAX_PATH_BYTES = 107;

/**
 * Parses the endpoint of the listener.
 * @throws RuntimeError that lists what is allowed.
 */
export function parseEndpoint(endpoint: string, env: NodeJS.ProcessEnv, pid: number): Endpoint {
  if (endpoint === 'fd://') return { kind: 'fd', fd: requirePassedSocket(env, pid) };
  const path = endpoint.startsWith('unix://') ? endpoint.slice('unix://'.length) : endpoint;
  if (!isAbsolute(path) || path.endsWith('/') || path.includes('\0')) {
    const why = /^(tcp|https?):/i.test(endpoint)
      ? 'is refused: CRI has no passwords, so anyone who reached that port would be root on this node;'
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

/** The server that gets the connections: a `Server` of grpc-js, or the proxy of src/harness. */
export interface ConnectionTaker {
  createConnectionInjector(credentials: ServerCredentials): { injectConnection(connection: Duplex): void };
}

/** Accepts CRI clients of all versions on a unix socket and passes their connections to grpc-js. */
export class SocketListener {
  readonly #endpoint: string;
  readonly #logger: Logger;
  readonly #newConnections = new Set<NewConnection>();
  #server: Server | undefined;
  #file: SocketFile | undefined;
  /** Resolves when binding the server has succeeded or failed. */
  #bound: Promise<void> | undefined;

  constructor(options: SocketListenerOptions) {
    this.#endpoint = options.endpoint;
    this.#logger = options.logger;
  }

  /**
   * Starts to listen. Resolves once clients can connect, with the address for the log (`unix:///path` or `fd://3`).
   * @throws RuntimeError when the endpoint is malformed, in use, or was not passed to this process; otherwise the
   * system's error.
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

  /**
   * Like `listen`, for a caller that takes connections from which nothing was read. Each half of a socket is ended separately.
   */
  async listenForSockets(take: (socket: Socket) => void): Promise<{ address: string }> {
    return this.#begin(() => createServer({ allowHalfOpen: true }, take));
  }

  async #begin(serverOf: () => Server): Promise<{ address: string }> {
    if (this.#server !== undefined) throw failedPrecondition('the listener is already listening');
    const endpoint = parseEndpoint(this.#endpoint, process.env, process.pid);
    const server = serverOf();
    this.#server = server;
    const binding = this.#bind(server, endpoint);
    const settled = (): void => undefined;
    this.#bound = binding.then(settled, settled);
    try {
      const address = await binding;
      // A failed accept, for instance with EMFILE, is only logged, because the next one may succeed.
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
   * Stops accepting connections, drops connections that have made no call yet, and removes the socket file. Calls in
   * progress continue; `grpc.Server.tryShutdown` ends them. May be called twice, before `listen`, and during `listen`.
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

  /**
   * Returns the descriptor of a systemd socket that already listens at this path. Its file belongs to the socket unit.
   */
  async #passedFor(path: string): Promise<number | undefined> {
    const fd = passedSocket(process.env, process.pid);
    if (fd === undefined) return undefined;
    const where = await listensAt(fd, path);
    if (where === true) return fd;
    this.#logger.warn(
      'The socket from systemd is not served, because --container-runtime-endpoint names another socket',
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

/** The first of the passed descriptors (sd_listen_fds(3)). */
const FIRST_PASSED_FD = 3;

/**
 * Returns the descriptor of the socket that systemd passed to this process, or undefined when it passed none. By
 * sd_listen_fds(3), the variables apply only to the process that LISTEN_PID names, and not to processes that inherit
 * them.
 */
export function passedSocket(env: NodeJS.ProcessEnv, pid: number): number | undefined {
  const count = Number(env.LISTEN_FDS);
  const isPassed = Number(env.LISTEN_PID) === pid && Number.isInteger(count) && count >= 1;
  return isPassed ? FIRST_PASSED_FD : undefined;
}

/**
 * Whether the descriptor listens at `path`, so that dockbridge must not create a socket file there.
 * @param proc the proc file system, for tests.
 * @returns true, or the path at which the descriptor listens instead.
 */
export async function listensAt(fd: number, path: string, proc = '/proc'): Promise<true | string> {
  const bound = await boundPath(fd, `${proc}/self`);
  return isSameSocket(bound, path) || bound;
}

/**
 * Returns the path of the socket that systemd passed to a running dockbridge, or '' when there is none or it cannot be
 * read.
 * @param proc the proc file system, for tests.
 */
export async function passedPath(pid: number, proc = '/proc'): Promise<string> {
  return boundPath(FIRST_PASSED_FD, `${proc}/${pid}`).catch(() => '');
}

/**
 * Returns the path on which a descriptor of a process listens.
 * @param process the directory of the process in /proc.
 */
async function boundPath(fd: number, process: string): Promise<string> {
  const [, inode] = /^socket:\[(\d+)\]$/.exec(await readlink(`${process}/fd/${fd}`)) ?? [];
  const line = (await readFile(`${process}/net/unix`, 'utf8'))
    .split('\n')
    // The columns are: Num RefCount Protocol Flags Type St Inode Path
    .find((row) => row.split(/\s+/)[6] === inode);
  return /^(?:\S+\s+){7}(.*)$/.exec(line ?? '')?.[1] ?? '';
}
