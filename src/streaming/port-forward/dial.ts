import { connect, type Socket } from 'node:net';
import { errnoOf, messageOf } from '../../lib/errors';

/** Time limit for connecting. Over loopback, a connection is established at once or, with a full backlog, soon. */
const LIMIT_MS = 10_000;
/** IPv4 comes first, because applications that listen on only one family mostly use IPv4. */
const ADDRESSES = ['127.0.0.1', '::1'];

/**
 * Connects to a port of the loopback interface in this network namespace, first over IPv4, then over IPv6.
 * @returns a paused socket from which nothing was read. Rejects with the error of each address, such as `127.0.0.1:
 * connection refused (ECONNREFUSED); ::1: connection refused (ECONNREFUSED)`.
 */
export async function dialLoopback(port: number): Promise<Socket> {
  const refusals: string[] = [];
  for (const host of ADDRESSES) {
    try {
      return await dial(host, port);
    } catch (error) {
      refusals.push(`${host}: ${explain(error)}`);
    }
  }
  throw new Error(refusals.join('; '));
}

function explain(error: unknown): string {
  const errno = errnoOf(error);
  if (errno === undefined) return messageOf(error);
  return errno === 'ECONNREFUSED' ? `connection refused (${errno})` : errno;
}

async function dial(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, allowHalfOpen: true });
    // The socket is paused before it connects, because a process that passes the socket on must not read the
    // application's first bytes.
    socket.pause();
    const timer = setTimeout(() => socket.destroy(new Error('no answer within 10 s')), LIMIT_MS);
    const onError = (error: Error): void => {
      clearTimeout(timer);
      reject(error);
    };
    socket.once('error', onError).once('connect', () => {
      clearTimeout(timer);
      socket.off('error', onError);
      resolve(socket);
    });
  });
}

/** A message from NetnsDialer to its helper, over Node's IPC channel. */
export interface DialRequest {
  readonly id: number;
  readonly port: number;
}

/** The helper's answer. If there is no `error`, the connected socket is sent along as a handle. */
export interface DialReply {
  readonly id: number;
  readonly error?: string;
}
