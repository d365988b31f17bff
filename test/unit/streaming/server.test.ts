import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { get, request } from 'node:https';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Duplex, PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { silentLogger } from '../../../src/lib/logger';
import type { StreamingBackend } from '../../../src/streaming/backend';
import type { TlsFiles } from '../../../src/streaming/certificate';
import { StreamingServer, type StreamingOptions } from '../../../src/streaming/server';
import { execOverSpdy, SpdyClient, upgradeToSpdy } from '../../fakes/streaming-client';
import { until } from '../support/async';
import { selfSigned } from '../support/certificate';

const WANTED = { containerId: 'c', command: ['x'], stdin: true, stdout: true, stderr: false, tty: false };

/** Runs until its client leaves, and echoes the client's input. */
const backend: StreamingBackend = {
  exec: async (_, { stdin, stdout, gone }) => {
    stdin!.pipe(stdout!);
    if (!gone.aborted) await once(gone, 'abort');
    return 0;
  },
  attach: () => Promise.reject(new Error('no')),
  connect: () => Promise.reject(new Error('nobody there')),
};

let server: StreamingServer | undefined;
afterEach(() => server?.close());

async function listen(more: Partial<StreamingOptions> = {}): Promise<StreamingServer> {
  const bind = { host: '127.0.0.1', port: 0 };
  server = new StreamingServer({ bind, backend, logger: silentLogger, ...more });
  await server.listen();
  return server;
}

describe('a client of the streaming server', () => {
  it('is disconnected when it opens no streams within the creation timeout', async () => {
    const { execUrl } = bound(await listen({ creationTimeoutMs: 50 }));
    const client = await SpdyClient.dial(execUrl(), 'v4.channel.k8s.io');
    await client.closed;
    await until(() => server!.sessionCount === 0);
  });

  it('is disconnected when only some of its streams have come', async () => {
    const { execUrl } = bound(await listen({ creationTimeoutMs: 50 }));
    const client = await SpdyClient.dial(execUrl(), 'v4.channel.k8s.io');
    client.open({ streamtype: 'error' });
    await client.closed;
    await until(() => server!.sessionCount === 0);
  });

  it('is disconnected after the idle timeout, and its command ends', async () => {
    const { execUrl } = bound(await listen({ idleTimeoutMs: 100 }));
    const { client } = await execOverSpdy(execUrl(), ['stdin', 'stdout']);
    await client.closed;
    await until(() => server!.sessionCount === 0);
  });

  it('is kept as long as bytes come within the idle timeout', async () => {
    const { execUrl } = bound(await listen({ idleTimeoutMs: 1000 }));
    const { client, stdin, stdout } = await execOverSpdy(execUrl(), ['stdin', 'stdout']);
    let closed = false;
    void client.closed.then(() => (closed = true));
    const began = Date.now();
    // The traffic lasts longer than two idle timeouts, and each byte is awaited before the next.
    while (Date.now() - began < 2500) {
      const echo = once(stdout, 'data');
      stdin.write('x');
      await echo;
    }
    expect(closed).toBe(false);
    client.close();
  });

  it('is disconnected when it was refused and does not leave', async () => {
    const { port, pathname } = new URL(bound(await listen()).execUrl());
    const client = connect({ host: '127.0.0.1', port: Number(port), allowHalfOpen: true });
    const closed = new Promise((resolve) => client.on('error', resolve).once('close', resolve));
    client.write(`POST ${pathname}x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n`);
    expect(String((await once(client, 'data'))[0])).toMatch(/^HTTP\/1\.1 404 /);
    // A write to a closed connection is answered with a reset.
    const talk = setInterval(() => client.write('still here'), 50);
    await closed;
    clearInterval(talk);
  }, 10_000);

  it('is disconnected when it reads nothing, and gets the reason if it reads after all', async () => {
    const flood: StreamingBackend = {
      ...backend,
      exec: async (_, { stdout, gone }) => {
        const left = once(gone, 'abort');
        while (!gone.aborted)
          if (!stdout!.write(Buffer.alloc(65_536))) await Promise.race([once(stdout!, 'drain'), left]);
        throw gone.reason;
      },
    };
    const { execUrl } = bound(await listen({ backend: flood, stallTimeoutMs: 300 }));
    const { client, error, stdout } = await execOverSpdy(execUrl(), ['stdin', 'stdout']);
    client.socket.pause();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    client.socket.resume();
    stdout.resume();
    expect(await text(error)).toMatch(/"status":"Failure".*has read nothing for 0.3 s/);
    await client.closed;
    await until(() => server!.sessionCount === 0);
  }, 20_000);

  it('is refused when there are too many sessions, in total or to its container', async () => {
    const { execUrl } = bound(await listen({ placeLimits: { all: 3, each: 2 } }));
    const refused = { status: 503, body: expect.stringMatching(/sessions are open/) as string };
    const sessions = [await execOverSpdy(execUrl()), await execOverSpdy(execUrl())];
    expect(await upgradeToSpdy(execUrl(), 'v4.channel.k8s.io')).toMatchObject(refused);
    const other = (): string => server!.execUrl({ ...WANTED, containerId: 'd' });
    sessions.push(await execOverSpdy(other()));
    expect(await upgradeToSpdy(other(), 'v4.channel.k8s.io')).toMatchObject(refused);
    for (const { client } of sessions) client.close();
    await until(() => server!.sessionCount === 0);
    (await execOverSpdy(execUrl())).client.close();
  });

  it('loses its oldest connection when it has more connections than the session limit plus a hundred', async () => {
    const { execUrl } = bound(await listen({ placeLimits: { all: 2, each: 2 } }));
    const { port } = new URL(execUrl());
    const dial = async (): Promise<Socket> => {
      const socket = connect({ host: '127.0.0.1', port: Number(port) });
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      return socket;
    };
    const oldest = await dial();
    const gone = new Promise((resolve) => oldest.once('close', resolve).resume());
    const held = await Promise.all(Array.from({ length: 102 }, dial));
    await gone;
    expect(held.filter((socket) => socket.destroyed || socket.readableEnded)).toEqual([]);
    held[0]!.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(String((await once(held[0]!, 'data'))[0])).toMatch(/^HTTP\/1\.1 404 /);
    for (const socket of held) socket.destroy();
  });

  it.each([
    ['without', false],
    ['with', true],
  ])('cannot keep others out with silent connections, %s TLS', async (_, tls) => {
    const files = tls ? await ownCertificate() : undefined;
    const { execUrl } = bound(await listen({ placeLimits: { all: 2, each: 2 }, tls: files }));
    const dial = async (): Promise<SpdyClient> =>
      tls
        ? SpdyClient.over(await upgradeOverTls(execUrl()))
        : SpdyClient.dial(execUrl(), 'v4.channel.k8s.io');
    const streams = streamsOf(await dial());
    const port = Number(new URL(execUrl()).port);
    const idle = Array.from({ length: 150 }, () => connect({ host: '127.0.0.1', port }));
    let closed = 0;
    for (const socket of idle) socket.on('error', () => undefined).once('close', () => closed++);
    // The excess connections have been closed, the oldest first.
    await until(() => closed >= 49, 'the end of those that are too many');
    const others = streamsOf(await dial());
    for (const { stdin, stdout } of [streams, others]) {
      const echo = once(stdout, 'data');
      stdin.write('let in');
      expect(String((await echo)[0])).toBe('let in');
    }
    for (const socket of idle) socket.destroy();
  });

  it('cannot hold more than 1000 URLs', async () => {
    const { execUrl } = bound(await listen());
    for (let count = 0; count < 1000; count++) execUrl();
    expect(() => execUrl()).toThrow(/1000/);
  });

  it('finds its URL expired', async () => {
    const { execUrl } = bound(await listen({ tokenLimits: { lifetimeMs: 0, waiting: 10 } }));
    expect(await upgradeToSpdy(execUrl(), 'v4.channel.k8s.io')).toMatchObject({ status: 404 });
  });
});

describe('a forwarded connection whose application does not read', () => {
  it("delays its client's other connections only for a while, and the client gets the reason", async () => {
    const connect = (_: string, port: number): Promise<Duplex> =>
      Promise.resolve(
        port === 1 ? new Duplex({ read: () => undefined, write: () => undefined }) : new PassThrough(),
      );
    await listen({ backend: { ...backend, connect }, stuckMs: 300 });
    const client = await SpdyClient.dial(
      server!.portForwardUrl({ sandboxId: 's', ports: [] }),
      'portforward.k8s.io',
    );
    const [stuck, echo] = [client.forward(1, 0), client.forward(2, 1)];
    stuck.data.write(Buffer.alloc(4 * 1024 * 1024));
    const why = text(stuck.error);
    echo.data.write('after all');
    expect(String((await once(echo.data, 'data'))[0])).toBe('after all');
    expect(await why).toMatch(/port 1: the application does not read/);
    client.close();
  });
});

describe('a server with a certificate', () => {
  it('encrypts sessions, and says so in the URL', async () => {
    const { execUrl } = bound(await listen({ tls: await ownCertificate() }));
    const url = execUrl();
    expect(url).toMatch(/^https:\/\/127\.0\.0\.1:\d+\/exec\//);
    const socket = await upgradeOverTls(url);
    const { stdin, stdout } = streamsOf(SpdyClient.over(socket));
    const echo = once(stdout, 'data');
    stdin.write('over TLS');
    expect(String((await echo)[0])).toBe('over TLS');
    socket.destroy();
  });

  it('does not answer plain HTTP, and answers 404 to a request with a wrong token', async () => {
    const { execUrl } = bound(await listen({ tls: await ownCertificate() }));
    const url = execUrl();
    await expect(upgradeToSpdy(url.replace('https', 'http'), 'v4.channel.k8s.io')).rejects.toThrow();
    const ca = await readFile((await ownCertificate()).certFile);
    const status = new Promise<number | undefined>((resolve, reject) => {
      get(url.replace(/[^/]+$/, 'wrong'), { ca }, (reply) => {
        void text(reply).then(() => resolve(reply.statusCode), reject);
      }).on('error', reject);
    });
    expect(await status).toBe(404);
  });
});

let certificate: Promise<TlsFiles> | undefined;
afterAll(async () => {
  if (certificate !== undefined) await rm(dirname((await certificate).certFile), { recursive: true });
});

/** Returns the certificate of these tests, which the first call makes. */
async function ownCertificate(): Promise<TlsFiles> {
  certificate ??= mkdtemp(join(tmpdir(), 'dockbridge-tls-')).then(async (directory) => selfSigned(directory));
  return certificate;
}

async function upgradeOverTls(url: string): Promise<Socket> {
  const call = request(url, {
    method: 'POST',
    ca: await readFile((await ownCertificate()).certFile),
    headers: {
      Connection: 'Upgrade',
      Upgrade: 'SPDY/3.1',
      'X-Stream-Protocol-Version': 'v4.channel.k8s.io',
    },
  });
  call.end();
  const [reply, socket] = (await once(call, 'upgrade')) as [{ statusCode: number }, Socket];
  expect(reply.statusCode).toBe(101);
  return socket;
}

function bound(of: StreamingServer): { execUrl: () => string } {
  return { execUrl: () => of.execUrl(WANTED) };
}

function streamsOf(client: SpdyClient): Record<'stdin' | 'stdout', ReturnType<SpdyClient['open']>> {
  client.open({ streamtype: 'error' });
  return { stdin: client.open({ streamtype: 'stdin' }), stdout: client.open({ streamtype: 'stdout' }) };
}
