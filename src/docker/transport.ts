import http, { type IncomingMessage } from 'node:http';
import type { Duplex, Readable } from 'node:stream';
import { inspect } from 'node:util';
import Docker from 'dockerode';
import { withDeadline } from '../lib/async/deadline';
import { invalidArgument } from '../lib/errors';
import { NO_TRACER, type Span, type Step, type Tracer } from '../lib/tracer';
import { EngineError, toRuntimeError } from './errors';

/**
 * Makes a dockerode for `endpoint`: `unix:///path`, `tcp://host:port`, or '' for the DOCKER_HOST, DOCKER_TLS_VERIFY and
 * DOCKER_CERT_PATH environment (the way to TLS, as with cri-dockerd).
 * @param maxIdle how many connections are kept for the next call; undefined for no pool.
 */
export function connectDocker(endpoint: string, maxIdle: number | undefined): Docker {
  if (endpoint === '') return new Docker();
  const target = parse(endpoint);
  // docker-modem passes its options to util.inspect at each request, which would walk through the agent.
  const agent =
    maxIdle === undefined ? undefined : hidden(new http.Agent({ keepAlive: true, maxFreeSockets: maxIdle }));
  const common = { protocol: 'http' as const, ...(agent === undefined ? {} : { agent }) };
  // `host: ''` keeps docker-modem from taking DOCKER_HOST instead of our path.
  return new Docker({ ...common, host: '', ...target });
}

/** Whether `endpoint` is on this machine, so that its pids, cgroups and log files can be read here. */
export function isLocalEndpoint(endpoint: string): boolean {
  const { DOCKER_HOST: host = '' } = process.env;
  const meant = endpoint === '' ? host : endpoint;
  // An empty DOCKER_HOST counts as none, as with dockerode.
  return meant === '' || meant.startsWith('unix:');
}

type Endpoint = { readonly socketPath: string } | { readonly host: string; readonly port: string };

function parse(endpoint: string): Endpoint {
  // URL would escape spaces and cut the path at `#`.
  if (endpoint.startsWith('unix:///')) return { socketPath: endpoint.slice('unix://'.length) };
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (url?.protocol === 'tcp:' && url.hostname !== '' && url.port !== '')
    return { host: url.hostname, port: url.port };
  throw invalidArgument(
    '--docker-endpoint',
    `"${endpoint}" is neither unix:///path/to/docker.sock nor tcp://host:port (for TLS set it to '' and use DOCKER_HOST)`,
  );
}

function hidden<T extends http.Agent>(agent: T): T {
  Object.defineProperty(agent, inspect.custom, { value: () => '[Agent]', enumerable: false });
  return agent;
}

export interface EngineRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  /** An array repeats its parameter. */
  readonly query?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: object;
  readonly tar?: Readable;
  readonly auth?: object | undefined;
  readonly hijack?: boolean;
  readonly signal?: AbortSignal | undefined;
}

const ACCEPTED = { 200: true, 201: true, 204: true, 304: true };

/**
 * Sends requests through dockerode's modem, but always reads the response itself: the modem never answers when a response is
 * cut off (dockerd killed), so that the caller would hang until its deadline.
 */
export class EngineTransport {
  constructor(
    private readonly docker: Docker,
    private readonly tracer: Tracer = NO_TRACER,
  ) {}

  /** Resolves with the whole JSON answer, undefined for an empty one. */
  async json<T>(request: EngineRequest, timeoutMs: number): Promise<T> {
    const text = (await this.bytes(request, timeoutMs, Infinity)).toString('utf8');
    try {
      return (text === '' ? undefined : JSON.parse(text)) as T;
    } catch (error) {
      throw toRuntimeError(error);
    }
  }

  /** Resolves with the whole answer, empty when it has more than `limit` bytes. */
  async bytes(request: EngineRequest, timeoutMs: number, limit: number): Promise<Buffer> {
    return withDeadline(
      `Docker Engine ${request.method} ${request.path}`,
      timeoutMs,
      request.signal,
      (signal) =>
        this.whole({ ...request, signal }, async (response) => {
          try {
            const chunks: Buffer[] = [];
            let size = 0;
            for await (const chunk of response as AsyncIterable<Buffer>) {
              size += chunk.length;
              // Leaving the loop destroys the response.
              if (size > limit) return Buffer.alloc(0);
              chunks.push(chunk);
            }
            return Buffer.concat(chunks);
          } catch (error) {
            throw toRuntimeError(error, signal);
          }
        }),
    );
  }

  /** Gives the response to `read`, whose time belongs to the request in a trace. */
  async whole<T>(request: EngineRequest, read: (response: IncomingMessage) => Promise<T>): Promise<T> {
    return this.step(request, async (response) => read(response as IncomingMessage));
  }

  /** Resolves with the response as it arrives, which is destroyed when the signal fires. */
  async stream(request: EngineRequest): Promise<IncomingMessage> {
    return this.step(request, (response) => Promise.resolve(response as IncomingMessage));
  }

  /** Resolves with the raw connection after the Engine's 101. */
  async hijack(request: EngineRequest): Promise<Duplex> {
    return this.step({ ...request, hijack: true }, (connection) => Promise.resolve(connection as Duplex));
  }

  private step<T>(request: EngineRequest, work: (answer: unknown) => Promise<T>): Promise<T> {
    return this.tracer.step(
      () => engineStep(request),
      async (span) => work(await this.dial(request, span)),
    );
  }

  private async dial(request: EngineRequest, span: Span): Promise<unknown> {
    if (request.hijack !== true) return this.send(request, span);
    // The modem leaves the request open for the upgraded connection. A refused request would never end without this.
    const unused = new AbortController();
    const { signal } = request;
    const onAbort = (): void => unused.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      signal?.throwIfAborted();
      return await this.send({ ...request, signal: unused.signal }, span);
    } catch (error) {
      unused.abort();
      throw toRuntimeError(error, signal);
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  private send(request: EngineRequest, span: Span): Promise<unknown> {
    const { signal } = request;
    const { headers } = span;
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(toRuntimeError(signal.reason, signal));
        return;
      }
      this.docker.modem.dial(
        {
          path: `${request.path}?`,
          method: request.method,
          options: { _query: request.query ?? {}, _body: request.body ?? {} },
          statusCodes: ACCEPTED,
          isStream: true,
          ...(request.hijack === true ? { hijack: true, openStdin: true, allowEmpty: true } : {}),
          ...(request.tar === undefined ? {} : { file: request.tar }),
          ...(request.auth === undefined ? {} : { authconfig: request.auth }),
          ...(signal === undefined ? {} : { abortSignal: signal }),
          // dockerd from 25.0 on traces too. The modem adds its own to the object.
          ...(headers === undefined ? {} : { headers: { ...headers } }),
        },
        (error: unknown, result: unknown) => {
          if (error !== null && error !== undefined) {
            const failure = toRuntimeError(error, signal);
            putStatus(span, statusOf(failure));
            reject(failure);
          } else {
            putStatus(span, request.hijack === true ? 101 : (result as IncomingMessage).statusCode);
            resolve(result);
          }
        },
      );
    });
  }
}

/** The step of a trace that is a request to the Engine, by OpenTelemetry's conventions for HTTP clients. */
function engineStep({ method, path }: { readonly method: string; readonly path: string }): Step {
  const template = pathTemplate(method, path);
  return {
    name: `${method} ${template}`,
    kind: 'client',
    // The query stays out: it may hold more than names.
    attributes: { 'http.request.method': method, 'url.template': template, 'url.path': path },
  };
}

function putStatus(span: Span, statusCode: number | undefined): void {
  span.set(() => ({ 'http.response.status_code': statusCode }));
}

/** Undefined when the Engine did not answer. */
function statusOf(error: unknown): number | undefined {
  return error instanceof EngineError ? error.statusCode : undefined;
}

/** `/containers/{id}/start`: with ids in their names, spans could not be grouped. Image names have any number of slashes. */
export function pathTemplate(method: string, path: string): string {
  return path
    .replace(/^\/v\d+\.\d+(?=\/)/, '')
    .replace(/^\/(containers|exec)\/(?!(?:json|create)$)[^/]+/, '/$1/{id}')
    .replace(/^\/(images|distribution)\/(?!(?:json|create)$).+/, (_all, root: string) =>
      method === 'DELETE' ? `/${root}/{name}` : `/${root}/{name}/json`,
    );
}

/**
 * The Engine ends a terminal's stdin at a sequence of keys, by default ctrl-p ctrl-q, and cannot be told to have none. Nobody
 * types this sequence of rare control keys by accident (docs/adr/0060-detach-keys.md). The Engine holds back the first key
 * until the next one comes, so the first is the key that shells, editors and telnet need least.
 */
export const DETACH_KEYS =
  'ctrl-^,ctrl-@,ctrl-^,ctrl-_,ctrl-^,ctrl-@,ctrl-_,ctrl-_,ctrl-^,ctrl-_,ctrl-@,ctrl-@,ctrl-_,ctrl-^,ctrl-@,ctrl-_';
