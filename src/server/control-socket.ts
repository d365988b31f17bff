import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { waitAtMost } from '../lib/async/deadline';
import { messageOf } from '../lib/errors';
import { KeyedLock } from '../lib/async/keyed-lock';
import type { Logger } from '../lib/logger';
import { SocketFile } from '../node/disk/socket-file';
import type { HandOverStep } from '../sync/hand-over';
import type { StatusReport } from './status/report';

const REQUEST_MS = 10_000;
/** Some who watch the daemon's status must not keep a hand-over out. */
const MAX_CONNECTIONS = 16;
/** A report is made from memory; the logs are waited for, but less than this. */
const STATUS_MS = 4_000;
/** Whoever may connect can take the node from us: root alone. */
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

/** Where our own commands reach the running daemon. A step is told as a line of JSON as soon as it is done. */
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

  /** A node must be served though this fails: that is logged. */
  async listen(): Promise<void> {
    const { path, logger } = this.options;
    try {
      this.file = await SocketFile.bind(this.server, path, MODE);
      this.server.on('error', (error) => logger.error('Control socket', { error: messageOf(error) }));
    } catch (error) {
      logger.error('Commands cannot reach this daemon; all else goes on', { path, error: messageOf(error) });
    }
  }

  /** Safe when it never listened. */
  async close(): Promise<void> {
    await this.file?.remove();
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeAllConnections();
    await closed;
  }

  private async answer({ method, url }: IncomingMessage, response: ServerResponse): Promise<void> {
    // Who asked may go away: what was begun is finished all the same.
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
