import http, { type IncomingMessage } from 'node:http';
import type { Duplex, Readable } from 'node:stream';
import { inspect } from 'node:util';
import type Docker from 'dockerode';
import { withDeadline } from '../lib/async/deadline';
import { invalidArgument } from '../lib/errors';
import { NO_TRACER, type Span, type Step, type Tracer } from '../lib/tracer';
import { EngineError, toRuntimeError } from './errors';
import { loadDockerode } from './load-dockerode';

/**
 * Makes a dockerode for `endpoint`: `unix:///path`, `tcp://host:port`, or '' to use the environment variables
 * DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH. As with cri-dockerd, only these variables allow TLS.
 * @param maxIdle how many idle connections are kept for later calls; undefined means no pool.
 */
export function connectDocker(endpoint: string, maxIdle: number | undefined): Docker {
  const Client = loadDockerode();
  if (endpoint === '') return new Client();
  const target = parse(endpoint);
  // docker-modem passes its options to util.inspect at each request, and util.inspect would walk the whole agent.
  const agent =
    maxIdle === undefined ? undefined : hidden(new http.Agent({ keepAlive: true, maxFreeSockets: maxIdle }));
  const common = { protocol: 'http' as const, ...(agent === undefined ? {} : { agent }) };
  // `host: ''` keeps docker-modem from using DOCKER_HOST instead of the given path.
  return new Client({ ...common, host: '', ...target });
}

/** Whether `endpoint` is on this machine, so that dockbridge can read its pids, cgroups and log files. */
export function isLocalEndpoint(endpoint: string): boolean {
  const { DOCKER_HOST: host = '' } = process.env;
  const meant = endpoint === '' ? host : endpoint;
  // An empty DOCKER_HOST counts as unset, as in dockerode.
  return meant === '' || meant.startsWith('unix:');
}

type Endpoint = { readonly socketPath: string } | { readonly host: string; readonly port: string };

function parse(endpoint: string): Endpoint {
  // A unix path is not parsed as a URL, because URL would escape spaces and cut the path at `#`.
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
  /** An array value repeats its parameter. */
  readonly query?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: object;
  readonly tar?: Readable;
  readonly auth?: object | undefined;
  readonly hijack?: boolean;
  readonly signal?: AbortSignal | undefined;
}

const ACCEPTED = { 200: true, 201: true, 204: true, 304: true };

/**
 * Sends requests through dockerode's modem but reads the responses itself. When a response is cut off because dockerd was
 * killed, the modem never answers, and the caller would hang until its deadline.
 */
export class EngineTransport {
  constructor(
    private readonly docker: Docker,
    private readonly tracer: Tracer = NO_TRACER,
  ) {}

  /** Resolves with the parsed JSON answer, or undefined for an empty answer. */
  async json<T>(request: EngineRequest, timeoutMs: number): Promise<T> {
    const text = (await this.bytes(request, timeoutMs, Infinity)).toString('utf8');
    try {
      return (text === '' ? undefined : JSON.parse(text)) as T;
    } catch (error) {
      throw toRuntimeError(error);
    }
  }

  /** Resolves with the whole answer, or with an empty buffer when the answer has more than `limit` bytes. */
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
              // Returning from the loop destroys the response.
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

  /** Passes the response to `read`. In a trace, the time that `read` needs belongs to the request. */
  async whole<T>(request: EngineRequest, read: (response: IncomingMessage) => Promise<T>): Promise<T> {
    return this.step(request, async (response) => read(response as IncomingMessage));
  }

  /** Resolves with a response that is still arriving. The response is destroyed when the signal fires. */
  async stream(request: EngineRequest): Promise<IncomingMessage> {
    return this.step(request, (response) => Promise.resolve(response as IncomingMessage));
  }

  /** Resolves with the raw connection after the Engine has answered 101. */
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
    // The modem keeps the request open for the upgraded connection. A refused request never ends unless it is aborted.
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
          // dockerd also traces, from version 25.0 on, so it gets the trace headers. They are copied because the modem
          // adds its own headers to the object.
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

/** Returns the trace step of a request to the Engine, named by OpenTelemetry's conventions for HTTP clients. */
function engineStep({ method, path }: { readonly method: string; readonly path: string }): Step {
  const template = pathTemplate(method, path);
  return {
    name: `${method} ${template}`,
    kind: 'client',
    // The query is left out, because it may contain more than names.
    attributes: { 'http.request.method': method, 'url.template': template, 'url.path': path },
  };
}

function putStatus(span: Span, statusCode: number | undefined): void {
  span.set(() => ({ 'http.response.status_code': statusCode }));
}

/** Returns the HTTP status; undefined when the Engine did not answer. */
function statusOf(error: unknown): number | undefined {
  return error instanceof EngineError ? error.statusCode : undefined;
}

/**
 * Returns the path with placeholders, such as `/containers/{id}/start`, because spans could not be grouped if their names
 * contained ids. An image name may contain any number of slashes.
 */
export function pathTemplate(method: string, path: string): string {
  return path
    .replace(/^\/v\d+\.\d+(?=\/)/, '')
    .replace(/^\/(containers|exec)\/(?!(?:json|create)$)[^/]+/, '/$1/{id}')
    .replace(/^\/(images|distribution)\/(?!(?:json|create)$).+/, (_all, root: string) =>
      method === 'DELETE' ? `/${root}/{name}` : `/${root}/{name}/json`,
    );
}

/**
 * The key sequence at which the Engine detaches a terminal's stdin. The default is ctrl-p ctrl-q, and the Engine has no
 * setting to disable it. Nobody types this sequence of rare control keys by accident (docs/adr/0060-detach-keys.md). The
 * Engine withholds the first key until the next key arrives, so the first key is the one that shells, editors and telnet
 * need least.
 */
export const DETACH_KEYS =
  'ctrl-^,ctrl-@,ctrl-^,ctrl-_,ctrl-^,ctrl-@,ctrl-_,ctrl-_,ctrl-^,ctrl-_,ctrl-@,ctrl-@,ctrl-_,ctrl-^,ctrl-@,ctrl-_';
