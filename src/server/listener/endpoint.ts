import { isAbsolute } from 'node:path';
import { failedPrecondition, invalidArgument } from '../../lib/errors';
import { passedSocket } from './passed-socket';

/** Where to listen: a socket file of our own making, or a descriptor that systemd opened for us. */
export type Endpoint =
  { readonly kind: 'path'; readonly path: string } | { readonly kind: 'fd'; readonly fd: number };

/** sockaddr_un.sun_path holds 108 bytes with its terminating zero; libuv would cut a longer path short. */
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
