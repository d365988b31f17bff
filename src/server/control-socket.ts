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
/** Limit of connections. It leaves room for a hand-over while other clients watch the status. */
const MAX_CONNECTIONS = 16;
/** Limit of a status report. A report needs no Engine call, and its wait for the logs is shorter than this limit. */
const STATUS_MS = 4_000;
/** Only root may connect, because a client can make dockbridge hand over the node. */
const MODE = 0o600;

export const HAND_OVER_PATH = '/hand-over';
export const STATUS_PATH = '/status';

/** One line of the answer. The last line contains no step. */
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

/**
 * The socket through which dockbridge's own commands reach the running daemon. The answer to a hand-over has one line of
 * JSON for each finished step, and then a line for the end or the error.
 */
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

  /** Starts to listen. A failure is only logged, because the node must be served even without this socket. */
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

  /** Stops listening. May also be called if `listen` was never called or failed. */
  async close(): Promise<void> {
    await this.file?.remove();
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeAllConnections();
    await closed;
  }

  private async answer({ method, url }: IncomingMessage, response: ServerResponse): Promise<void> {
    // An error is ignored, so that a hand-over continues after its client has disconnected.
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

  /**
   * Sends the status and closes the connection, so that a client that watches the status occupies no place between two
   * requests.
   */
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
