import { STATUS_CODES, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import { LINGER_MS } from './remotecommand/command-client';
import { channelProtocol, type ChannelProtocol } from './websocket/channels';

/** Thrown to refuse a request for a session. The refusal is answered with plain HTTP. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
  }
}

export function writeRefusal(socket: Duplex, { status, message, headers }: Refusal): void {
  const body = Buffer.from(`${message}\n`);
  writeHead(socket, status, {
    Connection: 'close',
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': String(body.length),
    ...headers,
  });
  socket.end(body);
  // The rest of the request is not needed. It is read nevertheless, because unread data would make the kernel reset the
  // connection and lose the answer.
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
}

export function writeHead(socket: Duplex, status: number, headers: Readonly<Record<string, string>>): void {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n`);
}

/** The connection after the upgrade, by the negotiated protocol. */
export type Upgraded =
  | { readonly kind: 'spdy'; readonly protocol: string; readonly transport: Duplex }
  | { readonly kind: 'tunnel'; readonly socket: WebSocket }
  | { readonly kind: 'channels'; readonly protocol: ChannelProtocol; readonly socket: WebSocket };

/**
 * The limit of a message. kubectl sends messages of 32 KiB. Other clients send whatever one read has returned, so their
 * messages may have any size.
 */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

/** Returns the number of a protocol's version: `v4.channel.k8s.io` is 4. The first version has no number in its name. */
export function versionOf(protocol: string): number {
  return Number(/^v(\d)\./.exec(protocol)?.[1] ?? 1);
}

/** Upgrades HTTP requests to SPDY or WebSocket connections. */
export class Upgrader {
  private readonly webSockets: WebSocketServer;

  /**
   * The client's order decides which of the allowed protocols is used.
   * @param spdyProtocols the allowed SPDY protocols, by their names on the wire.
   * @param subprotocols the allowed WebSocket protocols, by their names on the wire.
   */
  constructor(
    private readonly spdyProtocols: readonly string[],
    private readonly subprotocols: readonly string[],
  ) {
    this.webSockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      // Over loopback, compression would cost far more than it saves.
      perMessageDeflate: false,
      maxPayload: MAX_MESSAGE_BYTES,
    });
  }

  /**
   * Upgrades a request.
   * @throws Refusal if no answer was sent yet.
   */
  async upgrade(request: IncomingMessage, transport: Duplex, head: Buffer): Promise<Upgraded> {
    const wanted = request.headers.upgrade?.toLowerCase() ?? '';
    if (wanted === 'spdy/3.1') return this.upgradeToSpdy(request, transport, head);
    if (wanted === 'websocket') return this.upgradeToWebSocket(request, transport, head);
    throw new Refusal(400, 'this URL needs an upgrade to SPDY/3.1 or websocket');
  }

  private upgradeToSpdy(request: IncomingMessage, transport: Duplex, head: Buffer): Upgraded {
    const offered = listOf(request.headers['x-stream-protocol-version']);
    if (offered.length === 0) throw new Refusal(400, 'the header X-Stream-Protocol-Version is required');
    const protocol = offered.find((name) => this.spdyProtocols.includes(name));
    if (protocol === undefined) {
      throw new Refusal(403, 'none of the offered stream protocols is known', {
        'X-Accepted-Stream-Protocol-Versions': this.spdyProtocols.join(', '),
      });
    }
    writeHead(transport, 101, {
      Connection: 'Upgrade',
      Upgrade: 'SPDY/3.1',
      'X-Stream-Protocol-Version': protocol,
    });
    if (head.length > 0) transport.unshift(head);
    return { kind: 'spdy', protocol, transport };
  }

  private async upgradeToWebSocket(
    request: IncomingMessage,
    transport: Duplex,
    head: Buffer,
  ): Promise<Upgraded> {
    const name = this.chooseSubprotocol(request);
    if (name === undefined) throw new Refusal(400, 'none of the offered WebSocket protocols is known');
    const socket = await this.acceptWebSocket(request, transport, head, name);
    const protocol = channelProtocol(name);
    return protocol === undefined ? { kind: 'tunnel', socket } : { kind: 'channels', protocol, socket };
  }

  /**
   * Accepts a WebSocket. ws refuses `SPDY/3.1+portforward.k8s.io`, because a slash is not allowed in a subprotocol. The
   * offered protocols are therefore hidden from ws, and the header with the chosen protocol is added here.
   * @returns a paused socket. Data that arrived with the handshake waits for its reader.
   */
  private async acceptWebSocket(
    request: IncomingMessage,
    transport: Duplex,
    head: Buffer,
    protocol: string,
  ): Promise<WebSocket> {
    delete request.headers['sec-websocket-protocol'];
    const nameProtocol = (headers: string[]): void => {
      if (protocol !== '') headers.push(`Sec-WebSocket-Protocol: ${protocol}`);
    };
    return new Promise((resolve, reject) => {
      transport.once('close', () => reject(new Refusal(400, 'the WebSocket handshake failed')));
      this.webSockets.on('headers', nameProtocol);
      this.webSockets.handleUpgrade(request, transport, head, (socket) => {
        // The listener is added here, because an invalid first message emits an error before the promise's reader runs.
        socket.on('error', () => undefined).pause();
        resolve(socket);
      });
      this.webSockets.off('headers', nameProtocol);
    });
  }

  /** Returns '' for a client that offers no subprotocol, and undefined if no offered subprotocol is allowed. */
  private chooseSubprotocol(request: IncomingMessage): string | undefined {
    const offered = listOf(request.headers['sec-websocket-protocol']);
    return (offered.length === 0 ? [''] : offered).find((name) => this.subprotocols.includes(name));
  }
}

/** Joins repeated headers and splits the lists inside a header. */
function listOf(header: string | string[] | undefined): string[] {
  return [header ?? []]
    .flat()
    .flatMap((value) => value.split(','))
    .map((value) => value.trim())
    .filter((value) => value !== '');
}
