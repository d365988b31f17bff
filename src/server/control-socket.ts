import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { waitAtMost } from '../lib/async/deadline';
import { messageOf } from '../lib/errors';
import { KeyedLock } from '../lib/async/keyed-lock';
import type { Logger } from '../lib/logger';
import { SocketFile } from '../node/disk/socket-file';
import type { HandOverStep } from '../sync/hand-over';
import type { StatusReport } from './status-report';

const REQUEST_MS = 10_000;
/** Clients that watch the status must not keep a hand-over out. */
const MAX_CONNECTIONS = 16;
/** A report is made from memory; it waits for the logs, but for less time than this. */
const STATUS_MS = 4_000;
/** Only root may connect, because a client can make dockbridge hand the node over. */
const MODE = 0o600;

export const HAND_OVER_PATH = '/hand-over';
export const STATUS_PATH = '/status';

/** A line of the answer; the last one has no step. */
export type ControlLine = HandOverStep | { readonly end: true } | { readonly error: string };

export function controlPath(runDir: string): string {
  return join(runDir, 'control.sock');
}

export interface ControlOptions {
  readonly path: string;
  readonly handOver: () => AsyncIterable<HandOverStep>;
  readonly status: () => Promise<StatusReport>;
  readonly logger: Logger;
}

/** The socket on which dockbridge's own commands reach the running daemon. Each finished step is sent as a line of JSON. */
export class ControlSocket {
  private readonly server: Server;
  private readonly lock = new KeyedLock();
  private file: SocketFile | undefined;

  constructor(private readonly options: ControlOptions) {
    this.server = createServer(
      { requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS },
      (request, response) => void this.answer(request, response),
    );
    this.server.maxConnections = MAX_CONNECTIONS;
  }

  /** A failure is only logged, because the node must be served without this socket, too. */
  async listen(): Promise<void> {
    const { path, logger } = this.options;
    try {
      this.file = await SocketFile.bind(this.server, path, MODE);
      this.server.on('error', (error) =>
        logger.error('The control socket failed', { error: messageOf(error) }),
      );
    } catch (error) {
      logger.error(
        'Cannot listen on the control socket; `dockbridge hand-over` and `status` cannot reach this daemon',
        {
          path,
          error: messageOf(error),
        },
      );
    }
  }

  /** Safe to call if it never listened. */
  async close(): Promise<void> {
    await this.file?.remove();
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeAllConnections();
    await closed;
  }

  private async answer({ method, url }: IncomingMessage, response: ServerResponse): Promise<void> {
    // If the client disconnects, the hand-over continues.
    response.on('error', () => undefined);
    if (method === 'POST' && url === HAND_OVER_PATH) await this.handOver(response);
    else if (method === 'GET' && url === STATUS_PATH) await this.tellStatus(response);
    else response.writeHead(404).end(`POST ${HAND_OVER_PATH}, GET ${STATUS_PATH}\n`);
  }

  private async handOver(response: ServerResponse): Promise<void> {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    const tell = (line: ControlLine): void => void response.write(`${JSON.stringify(line)}\n`);
    try {
      await this.lock.run(HAND_OVER_PATH, async () => {
        for await (const step of this.options.handOver()) tell(step);
      });
      tell({ end: true });
    } catch (error) {
      tell({ error: messageOf(error) });
    }
    response.end();
  }

  /** One answer a connection: who watches must not keep a place between two looks. */
  private async tellStatus(response: ServerResponse): Promise<void> {
    const head = { 'content-type': 'application/json', connection: 'close' };
    try {
      const report = await waitAtMost('The status', STATUS_MS, this.options.status());
      response.writeHead(200, head).end(JSON.stringify(report));
    } catch (error) {
      response.writeHead(503, head).end(JSON.stringify({ error: messageOf(error) }));
    }
  }
}
