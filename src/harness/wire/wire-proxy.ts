import { connect, type Socket } from 'node:net';
import { messageOf } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import { socketPath } from '../../node/disk/socket-file';
import { SocketListener } from '../../server/listener/socket-listener';
import type { EndedBy } from '../proxy/relay';
import type { Side } from './pieces';
import type { WireTap } from './wire-log';

/** How long a connection that is being closed may take to write pending bytes, ms. Its peer may have stopped reading. */
const HANG_UP_MS = 1_000;

export interface WireProxyOptions {
  /** `unix:///path` for clients. */
  readonly listen: string;
  /** `unix:///path` of the runtime. */
  readonly upstream: string;
  readonly logger: Logger;
  /** Called for each new connection. */
  readonly follow: () => WireTap;
  /** Seconds since the recording began. */
  readonly now: () => number;
}

/**
 * Relays bytes between clients and the runtime without decoding them (docs/adr/0076). Each client connection has its own connection to the
 * runtime. Bytes, the end of a direction, and the closing of a connection are passed on from each side to the other.
 */
export class WireProxy {
  readonly #options: WireProxyOptions;
  readonly #pairs = new Set<Pair>();
  #listener: SocketListener | undefined;
  #isUnreachable = false;

  constructor(options: WireProxyOptions) {
    this.#options = options;
  }

  /** Opens the socket for clients. @throws RuntimeError if the endpoint is malformed or already in use. */
  async listen(): Promise<void> {
    const { listen: endpoint, logger } = this.#options;
    this.#listener = new SocketListener({ endpoint, logger });
    await this.#listener.listenForSockets((client) => this.#accept(client));
  }

  /** Stops accepting connections and closes the existing ones. Resolves when their taps have been informed, after 1 s at most. */
  async close(): Promise<void> {
    const listener = this.#listener;
    this.#listener = undefined;
    await listener?.close();
    await Promise.all([...this.#pairs].map((pair) => pair.drop()));
  }

  #accept(client: Socket): void {
    const { upstream, follow, now } = this.#options;
    const runtime = connect({ path: socketPath(upstream), allowHalfOpen: true });
    const unreachable = (error: Error): void => this.#unreachable(error);
    runtime.once('error', unreachable);
    runtime.once('connect', () => {
      runtime.off('error', unreachable);
      this.#isUnreachable = false;
    });
    const pair: Pair = new Pair(client, runtime, follow(), now, () => this.#pairs.delete(pair));
    this.#pairs.add(pair);
  }

  /** Logs that the runtime cannot be reached, once and not for each attempt, because kubelet retries every second. */
  #unreachable(error: Error): void {
    if (this.#isUnreachable) return;
    this.#isUnreachable = true;
    const { upstream, logger } = this.#options;
    logger.warn(`${upstream} does not answer, so connections of clients are closed`, {
      error: messageOf(error),
    });
  }
}

/** The connection of a client and the corresponding connection to the runtime. */
class Pair {
  readonly #tap: WireTap;
  readonly #now: () => number;
  readonly #sockets: readonly Socket[];
  readonly #closed: Promise<void>;
  #open = 2;
  /** The side that ended the connection first, and the time of this end. */
  #end: { readonly by: EndedBy; readonly t: number } | undefined;

  constructor(client: Socket, runtime: Socket, tap: WireTap, now: () => number, onClosed: () => void) {
    this.#tap = tap;
    this.#now = now;
    this.#sockets = [client, runtime];
    this.#closed = new Promise((resolve) => {
      const closed = (): void => {
        if (--this.#open > 0) return;
        const { by, t } = this.#ended('proxy');
        tap.closed(by, t);
        onClosed();
        resolve();
      };
      this.#pass('client', client, runtime, closed);
      this.#pass('runtime', runtime, client, closed);
    });
  }

  /** Closes both connections. Pending bytes are still written, for at most 1 s. */
  async drop(): Promise<void> {
    this.#ended('proxy');
    for (const socket of this.#sockets) {
      socket.pause();
      socket.removeAllListeners('data').removeAllListeners('drain');
      socket.destroySoon();
    }
    const timer = setTimeout(() => this.#sockets.forEach((socket) => socket.destroy()), HANG_UP_MS);
    await this.#closed;
    clearTimeout(timer);
  }

  #pass(from: Side, source: Socket, target: Socket, closed: () => void): void {
    source.on('data', (chunk: Buffer) => {
      const arrived = performance.now();
      const told = this.#tap.passing(from, chunk);
      const hasRoom = target.write(chunk, () => told?.(performance.now() - arrived));
      if (!hasRoom) source.pause();
    });
    target.on('drain', () => source.resume());
    source.on('end', () => {
      this.#ended(from);
      target.end();
    });
    // Errors need no handling here, because `close` follows each of them.
    source.on('error', () => undefined);
    source.on('close', () => {
      this.#ended(from);
      // `destroySoon` still writes the bytes that this side sent before it closed.
      target.destroySoon();
      closed();
    });
  }

  #ended(by: EndedBy): { readonly by: EndedBy; readonly t: number } {
    this.#end ??= { by, t: this.#now() };
    return this.#end;
  }
}
