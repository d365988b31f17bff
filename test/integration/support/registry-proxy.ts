import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the proxy does with a layer's data. */
export type Flow =
  | { readonly kind: 'free' }
  /** Passes that many bytes, then nothing more until the test sets another rule. */
  | { readonly kind: 'stall'; readonly afterBytes: number }
  /** Passes a little at a time. */
  | { readonly kind: 'trickle'; readonly bytes: number; readonly everyMs: number };

/** Answers in place of the registry. Returns true when it did. */
export type Interception = (call: IncomingMessage, reply: ServerResponse) => boolean;

/**
 * Stands between the Engine and a registry. It stalls, slows down or refuses transfers, and records the
 * requests.
 */
export class RegistryProxy {
  /** `GET /v2/app/blobs/sha256:…`, in order of arrival. */
  readonly requests: string[] = [];
  private flow: Flow = { kind: 'free' };
  private readonly stalled: (() => void)[] = [];
  private readonly released: (() => void)[] = [];
  private isStalled = false;

  private constructor(
    private readonly server: Server,
    readonly host: string,
  ) {}

  static async start(registryHost: string, intercept: Interception = () => false): Promise<RegistryProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const proxy = new RegistryProxy(server, `127.0.0.1:${(server.address() as AddressInfo).port}`);
    const [host, port] = registryHost.split(':');
    server.on('request', (call: IncomingMessage, reply: ServerResponse) => {
      proxy.requests.push(`${call.method} ${call.url}`);
      if (intercept(call, reply)) return;
      const { method, url: path, headers } = call;
      const onward = request({ host, port, path, method, headers }, (answer) => {
        reply.writeHead(answer.statusCode ?? 502, answer.headers);
        reply.on('close', () => answer.destroy());
        if (method === 'GET' && path?.includes('/blobs/') === true) void proxy.pass(answer, reply);
        else answer.pipe(reply);
      });
      onward.on('error', () => reply.destroy());
      call.pipe(onward);
    });
    return proxy;
  }

  /** Downloads of layers and configs so far. */
  get downloads(): string[] {
    return this.requests.filter((line) => line.startsWith('GET') && line.includes('/blobs/'));
  }

  /** Sets the rule from now on, also for stalled transfers. */
  let(flow: Flow): void {
    this.flow = flow;
    if (flow.kind !== 'stall') for (const release of this.released.splice(0)) release();
  }

  /** Resolves once some layer has stalled in the middle. */
  async untilStalled(): Promise<void> {
    if (!this.isStalled) await new Promise<void>((resolve) => this.stalled.push(resolve));
  }

  async stop(): Promise<void> {
    this.let({ kind: 'free' });
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async pass(answer: IncomingMessage, reply: ServerResponse): Promise<void> {
    let passed = 0;
    try {
      for await (const chunk of answer as AsyncIterable<Buffer>) {
        let rest = chunk;
        while (rest.length > 0 && !reply.destroyed) {
          const next = await this.allowance(passed, reply);
          const part = rest.subarray(0, next);
          rest = rest.subarray(part.length);
          passed += part.length;
          if (part.length > 0 && !reply.write(part)) await drained(reply);
        }
      }
      reply.end();
    } catch {
      reply.destroy();
    }
  }

  /** Returns how many bytes may pass now, and waits while none may. */
  private async allowance(passed: number, reply: ServerResponse): Promise<number> {
    const { flow } = this;
    if (flow.kind === 'free') return Number.MAX_SAFE_INTEGER;
    if (flow.kind === 'trickle') {
      await new Promise((resolve) => setTimeout(resolve, flow.everyMs));
      return flow.bytes;
    }
    if (passed < flow.afterBytes) return flow.afterBytes - passed;
    this.isStalled = true;
    for (const wake of this.stalled.splice(0)) wake();
    await new Promise<void>((resolve) => {
      this.released.push(resolve);
      reply.once('close', resolve);
    });
    this.isStalled = false;
    return 0;
  }
}

async function drained(reply: ServerResponse): Promise<void> {
  await new Promise<void>((resolve) => {
    const end = (): void => {
      reply.off('drain', end).off('close', end);
      resolve();
    };
    reply.on('drain', end).on('close', end);
  });
}
