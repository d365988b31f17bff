import { STATUS_CODES, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import { LINGER_MS } from './remotecommand/command-client';
import { channelProtocol, type ChannelProtocol } from './websocket/channels';

/** An upgrade request that gets a plain HTTP answer instead. */
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
  // What the client had already said is of no interest, but unread it would turn our answer into a reset.
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
}

export function writeHead(socket: Duplex, status: number, headers: Readonly<Record<string, string>>): void {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n`);
}

/** What the client and we have agreed to speak. */
export type Upgraded =
  | { readonly kind: 'spdy'; readonly protocol: string; readonly transport: Duplex }
  | { readonly kind: 'tunnel'; readonly socket: WebSocket }
  | { readonly kind: 'channels'; readonly protocol: ChannelProtocol; readonly socket: WebSocket };

/** A message of kubectl's is 32 KiB; other clients send what a read of theirs gave. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

/** `v4.channel.k8s.io` → 4; the first version had no number. */
export function versionOf(protocol: string): number {
  return Number(/^v(\d)\./.exec(protocol)?.[1] ?? 1);
}

/** Turns HTTP requests into SPDY or WebSocket connections. */
export class Upgrader {
  private readonly webSockets: WebSocketServer;

  /** Which protocols, by their names on the wire, may be spoken over either; the client's order decides. */
  constructor(
    private readonly spdyProtocols: readonly string[],
    private readonly subprotocols: readonly string[],
  ) {
    this.webSockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      // Costs far more than bytes over loopback do.
      perMessageDeflate: false,
      maxPayload: MAX_MESSAGE_BYTES,
    });
  }

  /** @throws Refusal as long as nothing was answered. */
  async upgrade(request: IncomingMessage, transport: Duplex, head: Buffer): Promise<Upgraded> {
    const wanted = request.headers.upgrade?.toLowerCase() ?? '';
    if (wanted === 'spdy/3.1') return this.upgradeToSpdy(request, transport, head);
    if (wanted === 'websocket') return this.upgradeToWebSocket(request, transport, head);
    throw new Refusal(400, 'an upgrade to SPDY/3.1 or websocket is needed here');
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
    const socket = await this.shakeHands(request, transport, head, name);
    const protocol = channelProtocol(name);
    return protocol === undefined ? { kind: 'tunnel', socket } : { kind: 'channels', protocol, socket };
  }

  /**
   * ws refuses `SPDY/3.1+portforward.k8s.io`, for a slash is no letter of a subprotocol: so it does not get to see what
   * was offered, and we name the chosen one.
   * @returns a paused socket: what came with the handshake waits for its reader.
   */
  private async shakeHands(
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
        // Now, not when the promise is looked at: a bad first message would be an error that nobody hears.
        socket.on('error', () => undefined).pause();
        resolve(socket);
      });
      this.webSockets.off('headers', nameProtocol);
    });
  }

  /** '' for a client that offers none. */
  private chooseSubprotocol(request: IncomingMessage): string | undefined {
    const offered = listOf(request.headers['sec-websocket-protocol']);
    return (offered.length === 0 ? [''] : offered).find((name) => this.subprotocols.includes(name));
  }
}

/** Repeated headers and lists in one header alike. */
function listOf(header: string | string[] | undefined): string[] {
  return [header ?? []]
    .flat()
    .flatMap((value) => value.split(','))
    .map((value) => value.trim())
    .filter((value) => value !== '');
}
