import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import type { CriClient } from '../../src/server/client/cri-client';

interface KnownPod {
  readonly sandboxId: string;
  /** The container ids by name. The first is the default one. */
  readonly containers: Readonly<Record<string, string>>;
}

/**
 * The parts of an API server and a kubelet that kubectl needs for exec, attach, port-forward and cp. Tests
 * name the pods, and upgrades are passed byte for byte to the URL that the runtime returns.
 */
export class ApiServer {
  private readonly pods = new Map<string, KnownPod>();
  private readonly sockets = new Set<Socket>();
  /** The upgrade and the protocol that each session used, as `upgrade protocol`, in order. */
  readonly spoken: string[] = [];

  private constructor(
    private readonly server: Server,
    private readonly runtime: CriClient,
  ) {}

  static async start(runtime: CriClient): Promise<ApiServer> {
    const server = createServer();
    const api = new ApiServer(server, runtime);
    server.on('connection', (socket: Socket) => api.track(socket));
    server.on('request', (request, response) => {
      const body = api.answer(new URL(request.url ?? '/', 'http://api').pathname);
      response.writeHead(body === undefined ? 404 : 200, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify(body ?? { kind: 'Status', apiVersion: 'v1', status: 'Failure', code: 404 }),
      );
    });
    server.on('upgrade', (request, socket, head) => void api.proxy(request, socket as Socket, head));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return api;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  addPod(name: string, pod: KnownPod): void {
    this.pods.set(name, pod);
  }

  async close(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  private track(socket: Socket): void {
    this.sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => this.sockets.delete(socket));
  }

  private answer(path: string): object | undefined {
    if (path === '/api') return { kind: 'APIVersions', versions: ['v1'] };
    if (path === '/apis') return { kind: 'APIGroupList', apiVersion: 'v1', groups: [] };
    if (path === '/api/v1') {
      const pods = {
        name: 'pods',
        namespaced: true,
        kind: 'Pod',
        verbs: ['get', 'list'],
        shortNames: ['po'],
      };
      return { kind: 'APIResourceList', groupVersion: 'v1', resources: [pods] };
    }
    const name = /^\/api\/v1\/namespaces\/default\/pods\/([^/]+)$/.exec(path)?.[1];
    const pod = name === undefined ? undefined : this.pods.get(name);
    if (name === undefined || pod === undefined) return undefined;
    // kubectl checks whether there is a terminal to attach to.
    const containers = Object.keys(pod.containers).map((container) => ({
      name: container,
      image: 'test',
      stdin: true,
      stdinOnce: true,
      tty: container.endsWith('-tty'),
    }));
    return {
      kind: 'Pod',
      apiVersion: 'v1',
      metadata: { name, namespace: 'default', uid: name },
      spec: { containers },
      status: { phase: 'Running' },
    };
  }

  private async proxy(request: IncomingMessage, client: Socket, head: Buffer): Promise<void> {
    try {
      const url = new URL(await this.runtimeUrl(new URL(request.url ?? '/', 'http://api')));
      const upstream = connect({ host: url.hostname, port: Number(url.port), allowHalfOpen: true });
      this.track(upstream);
      upstream.write(`${request.method ?? 'GET'} ${url.pathname} HTTP/1.1\r\n`);
      for (let at = 0; at < request.rawHeaders.length; at += 2) {
        upstream.write(`${request.rawHeaders[at] ?? ''}: ${request.rawHeaders[at + 1] ?? ''}\r\n`);
      }
      upstream.write('\r\n');
      upstream.write(head);
      const protocols =
        request.headers['x-stream-protocol-version'] ?? request.headers['sec-websocket-protocol'];
      this.spoken.push(`${request.headers.upgrade ?? ''} ${String(protocols)}`);
      upstream.pipe(client).pipe(upstream);
      upstream.on('close', () => client.destroy());
      client.on('close', () => upstream.destroy());
    } catch (error) {
      const body = JSON.stringify({
        kind: 'Status',
        apiVersion: 'v1',
        status: 'Failure',
        message: String(error),
        code: 500,
      });
      client.end(
        `HTTP/1.1 500 Error\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
    }
  }

  private async runtimeUrl({ pathname, searchParams }: URL): Promise<string> {
    const [, name = '', verb] = /\/pods\/([^/]+)\/(\w+)$/.exec(pathname) ?? [];
    const pod = this.pods.get(name);
    if (pod === undefined) throw new Error(`no pod ${name}`);
    const container_id =
      pod.containers[searchParams.get('container') ?? ''] ?? Object.values(pod.containers)[0] ?? '';
    const on = (key: string): boolean => searchParams.get(key) === 'true' || searchParams.get(key) === '1';
    const streams = { stdin: on('stdin'), stdout: on('stdout'), stderr: on('stderr'), tty: on('tty') };
    const cmd = searchParams.getAll('command');
    if (verb === 'exec') return (await this.runtime.call('Exec', { container_id, cmd, ...streams })).url;
    if (verb === 'attach') return (await this.runtime.call('Attach', { container_id, ...streams })).url;
    return (await this.runtime.call('PortForward', { pod_sandbox_id: pod.sandboxId, port: [] })).url;
  }
}
