import { request } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { SpdyConnection } from '../../src/streaming/spdy/connection';
import type { SpdyStream } from '../../src/streaming/spdy/stream';

export type UpgradeReply =
  | { readonly status: 101; readonly protocol: string; readonly socket: Socket }
  | { readonly status: number; readonly body: string; readonly headers: NodeJS.Dict<string | string[]> };

/** Requests an upgrade as Kubernetes' clients do, with each protocol in a header of its own. */
export async function upgrade(
  url: string,
  headers: Record<string, string | string[]>,
  method = 'POST',
): Promise<UpgradeReply> {
  return new Promise((resolve, reject) => {
    const call = request(url, { method, agent: false, headers: { Connection: 'Upgrade', ...headers } });
    call.on('error', reject);
    call.on('upgrade', (reply, socket: Socket, head) => {
      if (head.length > 0) socket.unshift(head);
      socket.on('error', () => undefined);
      resolve({ status: 101, protocol: String(reply.headers['x-stream-protocol-version']), socket });
    });
    call.on('response', (reply) => {
      text(reply).then(
        (body) => resolve({ status: reply.statusCode ?? 0, body, headers: reply.headers }),
        reject,
      );
    });
    call.end();
  });
}

export async function upgradeToSpdy(url: string, ...protocols: string[]): Promise<UpgradeReply> {
  return upgrade(url, { Upgrade: 'SPDY/3.1', 'X-Stream-Protocol-Version': protocols });
}

/** A client for exec, attach or port-forward over SPDY. It uses our own framing in the client's role. */
export class SpdyClient {
  readonly connection: SpdyConnection;
  /** Resolves when the server has closed the connection. */
  readonly closed: Promise<unknown>;

  private constructor(readonly socket: Duplex) {
    this.connection = new SpdyConnection(socket, { role: 'client', onStream: (stream) => stream.destroy() });
    this.closed = new Promise((resolve) => socket.once('close', resolve));
    void this.connection.run();
  }

  static async dial(url: string, ...protocols: string[]): Promise<SpdyClient> {
    const reply = await upgradeToSpdy(url, ...protocols);
    if (!('socket' in reply)) throw new Error(`${reply.status} ${reply.body}`);
    return new SpdyClient(reply.socket);
  }

  /** Returns a client on a connection that is already upgraded. */
  static over(socket: Duplex): SpdyClient {
    return new SpdyClient(socket);
  }

  open(headers: Record<string, string>): SpdyStream {
    return this.connection.open(new Map(Object.entries(headers)));
  }

  /** Opens the streams of a forwarded connection. */
  forward(port: number, id: number): { data: SpdyStream; error: SpdyStream } {
    const headers = { port: String(port), requestid: String(id) };
    const error = this.open({ streamtype: 'error', ...headers });
    error.end();
    return { error, data: this.open({ streamtype: 'data', ...headers }) };
  }

  close(): void {
    this.socket.destroy();
  }
}

/** Opens the streams of an exec or attach session. */
export async function execOverSpdy(
  url: string,
  streams: readonly ('stdin' | 'stdout' | 'stderr' | 'resize')[] = ['stdout'],
): Promise<{ client: SpdyClient; error: SpdyStream } & Record<'stdin' | 'stdout' | 'stderr', SpdyStream>> {
  const client = await SpdyClient.dial(url, 'v4.channel.k8s.io');
  const open = (streamtype: string): SpdyStream => client.open({ streamtype });
  const error = open('error');
  const opened = Object.fromEntries(streams.map((name) => [name, open(name)]));
  return { client, error, ...(opened as Record<'stdin' | 'stdout' | 'stderr', SpdyStream>) };
}
