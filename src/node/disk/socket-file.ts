import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { lstat, mkdir, rename, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { errnoOf, failedPrecondition, messageOf } from '../../lib/errors';

/**
 * Whether two endpoints, each `unix:///path` or a path, name the same socket. /var/run counts as /run, because /var/run is a
 * link to /run.
 */
export function isSameSocket(one: string, other: string): boolean {
  return socketPath(one) === socketPath(other);
}

/** Returns the path of `unix:///path`. */
export function socketPath(endpoint: string): string {
  return endpoint.replace(/^unix:\/\//, '').replace(/^\/var\/run\//, '/run/');
}

const DIRECTORY_MODE = 0o750;

/** A socket file that we created. Somebody may have replaced it since then. */
export class SocketFile {
  private constructor(
    readonly path: string,
    private readonly device: bigint,
    private readonly inode: bigint,
  ) {}

  /**
   * Binds the server to `path` and replaces a socket on which nobody answers. The file has the right mode from the first
   * moment.
   *
   * The socket is bound under another name and then renamed, because at the server's close libuv unlinks the name that was
   * bound, even if another daemon's socket has this name by then.
   * @throws RuntimeError FAILED_PRECONDITION when another process answers at `path`, or `path` is not a socket.
   */
  static async bind(server: Server, path: string, mode = 0o660): Promise<SocketFile> {
    await mkdir(dirname(path), { recursive: true, mode: DIRECTORY_MODE });
    await refuseIfTaken(path);
    const temporary = join(dirname(path), temporaryName(basename(path)));
    await bindPrivately(server, temporary, mode);
    const { dev, ino } = await lstat(temporary, { bigint: true });
    await rename(temporary, path);
    return new SocketFile(path, dev, ino);
  }

  /** Removes the file if it is still the one that we created. */
  async remove(): Promise<void> {
    try {
      const { dev, ino } = await lstat(this.path, { bigint: true });
      if (dev === this.device && ino === this.inode) await unlink(this.path);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }
}

/**
 * Returns a temporary name. It is no longer than the final name, because the length of socket paths is limited. It is longer only
 * if the final name is very short.
 */
function temporaryName(name: string): string {
  const length = Math.min(Math.max(Buffer.byteLength(name), 6), 12);
  return `.${randomBytes(6)
    .toString('hex')
    .slice(0, length - 1)}`;
}

/**
 * Listens under a changed umask. `listen` calls bind(2) synchronously, so no other code on this thread sees the changed umask.
 */
async function bindPrivately(server: Server, path: string, mode: number): Promise<void> {
  const before = process.umask(0o777 & ~mode);
  try {
    server.listen(path);
  } finally {
    process.umask(before);
  }
  await once(server, 'listening');
}

async function refuseIfTaken(path: string): Promise<void> {
  const stats = await lstat(path).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (stats === undefined) return;
  if (!stats.isSocket()) {
    throw failedPrecondition(`${path} exists and is not a socket: remove it or choose another endpoint`);
  }
  const refusal = await connectionError(path);
  // ENOENT means that the owner has removed the socket in the meantime.
  const errno = errnoOf(refusal);
  if (errno === 'ECONNREFUSED' || errno === 'ENOENT') return;
  throw failedPrecondition(
    refusal === undefined
      ? `another process already answers on ${path}: stop it or choose another endpoint`
      : `cannot tell whether ${path} is in use (${messageOf(refusal)}): remove it or choose another endpoint`,
  );
}

/**
 * @returns the error, or undefined when the connection was accepted. A Unix socket needs no time limit: it accepts, refuses or
 * reports a full backlog immediately.
 */
function connectionError(path: string): Promise<Error | undefined> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('error', resolve);
    probe.once('connect', () => {
      probe.destroy();
      resolve(undefined);
    });
  });
}
