import { once } from 'node:events';
import http, { type IncomingMessage, type Server } from 'node:http';
import https from 'node:https';
import { isIPv6, type AddressInfo, type Socket } from 'node:net';
import { waitAtMost } from '../lib/async/deadline';
import { errnoOf, failedPrecondition, messageOf, unavailable } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { loadCertificate, type TlsFiles } from './certificate';
import type { AttachRequest, ExecRequest, PortForwardRequest, StreamingBackend } from './backend';
import { REASON_MS } from './remotecommand/command-client';
import { PLACE_LIMITS, Places, watchStall, type PlaceLimits } from './session-limits';
import { serveSession, type Pending } from './sessions';
import { TOKEN_LIMITS, Tokens, type TokenLimits } from './tokens';
import { Refusal, Upgrader, writeRefusal } from './upgrade';
import { CHANNEL_PROTOCOL_NAMES, TUNNEL_PROTOCOL } from './websocket/channels';

export interface StreamingOptions {
  /** Port 0 means any free port. */
  readonly bind: { readonly host: string; readonly port: number };
  /** Paths of PEM files; undefined for plain HTTP. */
  readonly tls?: TlsFiles | undefined;
  readonly backend: StreamingBackend;
  readonly logger: Logger;
  readonly idleTimeoutMs?: number;
  readonly stallTimeoutMs?: number;
  readonly creationTimeoutMs?: number;
  readonly tokenLimits?: TokenLimits;
  readonly placeLimits?: PlaceLimits;
  readonly stuckMs?: number;
}

/** The protocols that SPDY clients can request in X-Stream-Protocol-Version, newest first. */
const COMMAND_PROTOCOLS = ['v4.channel.k8s.io', 'v3.channel.k8s.io', 'v2.channel.k8s.io', 'channel.k8s.io'];
const FORWARD_PROTOCOLS = ['portforward.k8s.io'];
/** These two limits equal those of Kubernetes' own streaming library. */
const IDLE_TIMEOUT_MS = 4 * 3600 * 1000;
const CREATION_TIMEOUT_MS = 30_000;
/**
 * How long data may wait for a client that reads none of it. The kernel waits about as long for a peer that acknowledges
 * nothing (tcp_retries2).
 */
const STALL_TIMEOUT_MS = 15 * 60_000;
/** How long one forwarded connection may delay the other connections of its client. */
const STUCK_MS = 30_000;
/**
 * How many connections may be open in addition to the limit of sessions. They are about to become sessions, or are being
 * refused.
 */
const MORE_CONNECTIONS = 100;
/** How long a client may take to send its request. */
const REQUEST_MS = 30_000;
/** How long sessions may take to clean up when the server closes. */
const CLOSE_MS = 5_000;

/**
 * The HTTP server to which kubelet sends the clients of exec, attach and port-forward. It uses neither CRI nor Docker;
 * the backend does the work of a session.
 */
export class StreamingServer {
  private readonly tokens: Tokens<Pending>;
  private readonly commands = new Upgrader(COMMAND_PROTOCOLS, CHANNEL_PROTOCOL_NAMES);
  private readonly forwards = new Upgrader(FORWARD_PROTOCOLS, [TUNNEL_PROTOCOL, ...CHANNEL_PROTOCOL_NAMES]);
  private readonly sockets = new Set<Socket>();
  /**
   * Connections that are not sessions, oldest first. The key is the peer's address, which is the same for a TLS
   * connection and its TCP socket.
   */
  private readonly newcomers = new Map<string, Socket>();
  private readonly places: Places;
  private readonly sessions = new Set<Promise<void>>();
  private server: Server | undefined;
  private base: string | undefined;

  constructor(private readonly options: StreamingOptions) {
    this.tokens = new Tokens(options.tokenLimits ?? TOKEN_LIMITS);
    this.places = new Places(options.placeLimits ?? PLACE_LIMITS);
  }

  /**
   * Starts to listen.
   * @returns the prefix of all URLs. Rejects if the address, the certificate or the key cannot be used.
   */
  async listen(): Promise<string> {
    const { bind, tls } = this.options;
    const server: Server =
      tls === undefined ? http.createServer() : https.createServer(await loadCertificate(tls));
    server.headersTimeout = server.requestTimeout = REQUEST_MS;
    server.on('connection', (socket: Socket) => this.track(socket));
    server.on('secureConnection', (socket: Socket) => socket.on('error', () => undefined));
    server.on('request', (request, response) => {
      response.writeHead(this.redeem(request) === undefined ? 404 : 400).end();
    });
    server.on('upgrade', (request, socket, head) => this.onUpgrade(request, socket as Socket, head));
    server.listen(bind.port, bind.host);
    await once(server, 'listening').catch((error: unknown) => {
      const why = errnoOf(error) ?? messageOf(error);
      throw unavailable(`cannot listen for streaming on ${bind.host}:${bind.port} (${why})`, {
        cause: error,
      });
    });
    server.on('error', (error) =>
      this.options.logger.error('The streaming server failed', { error: error.message }),
    );
    this.server = server;
    const { port } = server.address() as AddressInfo;
    this.base = `${tls === undefined ? 'http' : 'https'}://${urlHost(bind.host)}:${port}`;
    return this.base;
  }

  /**
   * Loads another certificate for new connections. Existing connections keep theirs, and a server without TLS stays
   * without it.
   * @returns a function that makes the change. Rejects when the certificate or the key cannot be used.
   */
  async prepareCertificate(files: TlsFiles): Promise<() => void> {
    const certificate = await loadCertificate(files);
    return () => {
      if (this.server instanceof https.Server) this.server.setSecureContext(certificate);
    };
  }

  /** @returns an absolute URL that one client can use within a minute. */
  execUrl(request: ExecRequest): string {
    return this.urlOf({ kind: 'exec', request });
  }

  attachUrl(request: AttachRequest): string {
    return this.urlOf({ kind: 'attach', request });
  }

  portForwardUrl(request: PortForwardRequest): string {
    return this.urlOf({ kind: 'portforward', request });
  }

  /** The number of sessions that have begun and have not finished their clean-up. */
  get sessionCount(): number {
    return this.sessions.size;
  }

  /** Cuts off all sessions and waits at most 5 s until they have cleaned up. */
  async close(): Promise<void> {
    const { server } = this;
    if (server === undefined) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of this.sockets) socket.destroy();
    const all = Promise.all([...this.sessions, closed]);
    await waitAtMost('The end of streaming', CLOSE_MS, all).catch((error: unknown) => {
      this.options.logger.warn('Streaming sessions did not end cleanly', { error: messageOf(error) });
    });
  }

  private urlOf(pending: Pending): string {
    if (this.base === undefined) throw unavailable('the streaming server is not listening yet');
    return `${this.base}/${pending.kind}/${this.tokens.issue(pending)}`;
  }

  private track(socket: Socket): void {
    const peer = peerOf(socket);
    this.sockets.add(socket);
    this.newcomers.set(peer, socket);
    socket.on('error', () => undefined);
    socket.once('close', () => {
      this.sockets.delete(socket);
      if (this.newcomers.get(peer) === socket) this.newcomers.delete(peer);
    });
    const most = (this.options.placeLimits ?? PLACE_LIMITS).all + MORE_CONNECTIONS;
    if (this.sockets.size <= most) return;
    // An idle connection must not prevent new clients from connecting, so the oldest one is closed.
    for (const [oldest, idle] of this.newcomers) {
      this.newcomers.delete(oldest);
      idle.destroy();
      return;
    }
  }

  private onUpgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const session = this.serve(request, socket, head).catch((error: unknown) => {
      if (error instanceof Refusal) {
        if (socket.writable) writeRefusal(socket, error);
        return;
      }
      this.options.logger.error('A streaming session failed: this is a bug', { error: messageOf(error) });
      socket.destroy();
    });
    this.sessions.add(session);
    void session.then(() => this.sessions.delete(session));
  }

  private async serve(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    socket.setTimeout(this.options.idleTimeoutMs ?? IDLE_TIMEOUT_MS, () => socket.destroy());
    socket.setNoDelay(true);
    const pending = this.redeem(request);
    if (pending === undefined) throw new Refusal(404, 'there is no such session');
    await this.places.take(targetOf(pending), () => {
      this.newcomers.delete(peerOf(socket));
      return this.serveSession(request, socket, head, pending);
    });
  }

  private async serveSession(
    request: IncomingMessage,
    socket: Socket,
    head: Buffer,
    pending: Pending,
  ): Promise<void> {
    const upgrader = pending.kind === 'portforward' ? this.forwards : this.commands;
    const upgraded = await upgrader.upgrade(request, socket, head);
    const { backend, logger, creationTimeoutMs = CREATION_TIMEOUT_MS } = this.options;
    const { stallTimeoutMs = STALL_TIMEOUT_MS, stuckMs = STUCK_MS } = this.options;
    const stalled = watchStall(socket, stallTimeoutMs, REASON_MS);
    await serveSession({ backend, logger, creationTimeoutMs, stalled, stuckMs }, pending, upgraded);
  }

  private redeem({ method, url }: IncomingMessage): Pending | undefined {
    if (method !== 'GET' && method !== 'POST') return undefined;
    const [, kind, token = ''] = /^\/(\w+)\/([\w-]+)(?:\?.*)?$/.exec(url ?? '') ?? [];
    const pending = this.tokens.redeem(token);
    return pending?.kind === kind ? pending : undefined;
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

function targetOf({ kind, request }: Pending): string {
  return kind === 'portforward' ? request.sandboxId : request.containerId;
}

/** Returns the host to which a client on this node connects. The wildcard addresses include loopback. */
function urlHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return isIPv6(host) ? `[${host}]` : host;
}

/** The part of the streaming server that a daemon uses. */
export type Streaming = Pick<
  StreamingServer,
  'listen' | 'prepareCertificate' | 'close' | 'execUrl' | 'attachUrl' | 'portForwardUrl' | 'sessionCount'
>;

/** Replaces the server in a daemon that only observes, and serves no sessions. */
export class NoStreaming implements Streaming {
  readonly sessionCount = 0;

  listen(): Promise<string> {
    return Promise.resolve('off');
  }

  prepareCertificate(): Promise<() => void> {
    return Promise.resolve(() => undefined);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  execUrl(): string {
    return refuse();
  }

  attachUrl(): string {
    return refuse();
  }

  portForwardUrl(): string {
    return refuse();
  }
}

function refuse(): never {
  throw failedPrecondition('this dockbridge serves no sessions');
}
