import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { SocketFile } from '../node/disk/socket-file';

/** The largest number of connections. A scraper uses one. */
const MAX_CONNECTIONS = 32;
const REQUEST_MS = 10_000;

export interface Page {
  readonly status: number;
  readonly contentType: string;
  /** A long page consists of pieces. Each piece is sent before the next is made. */
  readonly body: string | Iterable<string>;
}

export interface EndpointOptions {
  readonly address: { readonly host: string; readonly port: number } | { readonly path: string };
  /** The pages by path; each is built when it is requested. */
  readonly pages: Readonly<Record<string, () => Promise<Page>>>;
  readonly logger: Logger;
}

/** A small HTTP server for monitoring. It answers GET and HEAD requests for a few pages, and refuses all others. */
export class Endpoint {
  private readonly server: Server;
  private file: SocketFile | undefined;

  constructor(private readonly options: EndpointOptions) {
    this.server = createServer(
      { requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS, keepAliveTimeout: 2 * REQUEST_MS },
      (request, response) => void this.answer(request, response),
    );
    this.server.maxConnections = MAX_CONNECTIONS;
  }

  /**
   * Starts to listen.
   * @returns the address on which it listens; rejects when the address is in use or invalid.
   */
  async listen(): Promise<string> {
    const { address, logger } = this.options;
    if ('path' in address) this.file = await SocketFile.bind(this.server, address.path);
    else {
      this.server.listen(address.port, address.host);
      await once(this.server, 'listening');
    }
    this.server.on('error', (error) => logger.error('Metrics endpoint', { error: messageOf(error) }));
    if ('path' in address) return `unix://${address.path}`;
    const { address: host, port, family } = this.server.address() as AddressInfo;
    return `http://${family === 'IPv6' ? `[${host}]` : host}:${port}`;
  }

  /** Closes the server. May be called even if it never listened. */
  async close(): Promise<void> {
    await this.file?.remove();
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeAllConnections();
    await closed;
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status, contentType, body } = await this.page(request);
    response.writeHead(status, { 'content-type': contentType });
    if (request.method === 'HEAD') response.end();
    else if (typeof body === 'string') response.end(body);
    // A scraper that has disconnected is not an error.
    else await pipeline(Readable.from(body), response).catch(() => undefined);
  }

  /** Never rejects. */
  private async page({ method, url = '' }: IncomingMessage): Promise<Page> {
    const { pages, logger } = this.options;
    const path = url.replace(/\?.*$/, '');
    if (!Object.hasOwn(pages, path)) return text(404, `pages: ${Object.keys(pages).join(' ')}\n`);
    if (method !== 'GET' && method !== 'HEAD') return text(405, 'only GET\n');
    try {
      return (await pages[path]?.()) ?? text(404, '');
    } catch (error) {
      logger.error('A page of the metrics endpoint failed', { path, error: messageOf(error) });
      return text(500, `${messageOf(error)}\n`);
    }
  }
}

export function text(status: number, body: string): Page {
  return { status, contentType: 'text/plain; charset=utf-8', body };
}

export interface HealthCheck {
  readonly name: string;
  /** What is wrong; undefined when nothing is. */
  readonly problem: string | undefined;
}

/**
 * Answers 200 when every check succeeds, otherwise 503. The page has one line per check, in the format of Kubernetes' own
 * components.
 */
export function healthPage(checks: readonly HealthCheck[]): Page {
  const isWell = checks.every(({ problem }) => problem === undefined);
  const lines = checks.map(({ name, problem }) =>
    problem === undefined ? `[+]${name} ok` : `[-]${name} failed: ${problem.replaceAll('\n', ' ')}`,
  );
  return text(isWell ? 200 : 503, `${[...lines, isWell ? 'healthz passed' : 'healthz failed'].join('\n')}\n`);
}

export interface Family {
  readonly name: string;
  readonly help: string;
  readonly kind: 'counter' | 'gauge';
  readonly labelKeys: readonly string[];
}

export interface Sample {
  /** The name of the sample's family. */
  readonly name: string;
  readonly labelValues: readonly string[];
  readonly value: number;
}

/** Renders samples in Prometheus' text format. Each piece is one family, because all lines of a family must be together. */
export function* exposition(families: readonly Family[], samples: Iterable<Sample>): Generator<string> {
  const byName = new Map<string, Sample[]>();
  for (const sample of samples) {
    const known = byName.get(sample.name);
    if (known === undefined) byName.set(sample.name, [sample]);
    else known.push(sample);
  }
  for (const { name, help, kind, labelKeys } of families) {
    const own = byName.get(name);
    if (own === undefined) continue;
    const lines = own.map(
      ({ labelValues, value }) => `${name}{${labels(labelKeys, labelValues)}} ${numeral(value)}\n`,
    );
    yield `# HELP ${name} ${escape(help)}\n# TYPE ${name} ${kind}\n${lines.join('')}`;
  }
}

function labels(keys: readonly string[], values: readonly string[]): string {
  return keys.map((key, at) => `${key}="${escape(values[at] ?? '').replaceAll('"', '\\"')}"`).join(',');
}

function escape(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function numeral(value: number): string {
  return value === Infinity ? '+Inf' : value === -Infinity ? '-Inf' : String(value);
}
