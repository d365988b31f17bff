import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { silentLogger } from '../../../src/lib/logger';
import type { AttachRequest, ExecRequest, StreamingBackend } from '../../../src/streaming/backend';
import { NoStreaming, StreamingServer } from '../../../src/streaming/server';
import { versionOf, writeRefusal, Refusal } from '../../../src/streaming/upgrade';
import { SpdyClient, upgrade, upgradeToSpdy } from '../../fakes/streaming-client';
import { gate, until, type Gate } from '../support/async';
import { rejectionOf, thrownBy } from '../support/errors';
import { socketPair } from './support/sockets';

const V4 = 'v4.channel.k8s.io';
const WANTED = { stdin: false, stdout: true, stderr: false, tty: false };
const EXEC: ExecRequest = { containerId: 'c', command: ['x', 'y'], ...WANTED };

let asked: (ExecRequest | AttachRequest)[];
let ended: Gate<void>;
let backend: StreamingBackend;
let server: StreamingServer;
beforeEach(async () => {
  asked = [];
  ended = gate();
  backend = {
    exec: async (request) => {
      asked.push(request);
      await ended.promise;
      return 0;
    },
    attach: async (request) => {
      asked.push(request);
      await ended.promise;
    },
    connect: () => Promise.reject(new Error('nobody there')),
  };
  server = serverAt('127.0.0.1');
  await server.listen();
});
afterEach(async () => {
  ended.resolve();
  await server.close();
});

const serverAt = (host: string, port = 0): StreamingServer =>
  new StreamingServer({ bind: { host, port }, backend, logger: silentLogger });

describe('the address of the streaming server', () => {
  // A machine without IPv6 cannot listen there.
  const hasIpv6 = networkInterfaces().lo?.some(({ family }) => family === 'IPv6') === true;
  it.each([
    ['127.0.0.1', '127.0.0.1'],
    ['0.0.0.0', '127.0.0.1'],
    ['localhost', 'localhost'],
    ...(hasIpv6
      ? [
          ['::', '[::1]'],
          ['::1', '[::1]'],
        ]
      : []),
  ])('that listens on %s is %s', async (host, told) => {
    const other = serverAt(host);
    const url = await other.listen();
    expect(url).toMatch(new RegExp(`^http://${told.replace(/[.[\]]/g, '\\$&')}:[1-9]\\d*$`));
    const path = other.execUrl(EXEC).slice(url.length);
    expect([other.execUrl(EXEC).startsWith(url), path]).toEqual([
      true,
      expect.stringMatching(/^\/exec\/[\w-]{22}$/) as string,
    ]);
    await other.close();
  });

  it('is unknown before it listens', () => {
    const other = serverAt('127.0.0.1');
    expect(thrownBy(() => other.execUrl(EXEC))).toMatch(/^UNAVAILABLE /);
  });

  it('causes an error that says so if it is already taken', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    expect(await rejectionOf(serverAt('127.0.0.1', port).listen())).toBe(
      `UNAVAILABLE cannot listen for streaming on 127.0.0.1:${port} (EADDRINUSE)`,
    );
    await new Promise((resolve) => taken.close(resolve));
  });

  it('is not needed for a close', async () => {
    await serverAt('127.0.0.1').close();
  });
});

describe('a URL', () => {
  it('is valid for its own request, with any query', async () => {
    const attach = { containerId: 'd', ...WANTED };
    for (const url of [server.execUrl(EXEC), `${server.attachUrl(attach)}?tail=1`]) {
      const client = await SpdyClient.dial(url, V4);
      for (const streamtype of ['error', 'stdout']) client.open({ streamtype });
    }
    await until(() => asked.length === 2, 'both sessions');
    expect(asked).toEqual(expect.arrayContaining([EXEC, attach]));
    expect(server.sessionCount).toBe(2);
    ended.resolve();
    await until(() => server.sessionCount === 0, 'their ends');
  });

  it.each<[string, (url: string) => string]>([
    ['another kind of session', (url) => url.replace('/exec/', '/attach/')],
    ['an additional path', (url) => `${url}/more`],
    ['a prefix', (url) => url.replace('/exec/', '/x/exec/')],
    ['no token', (url) => url.replace(/[^/]+$/, '')],
  ])('with %s is invalid', async (_, change) => {
    expect(await upgradeToSpdy(change(server.execUrl(EXEC)), V4)).toMatchObject({
      status: 404,
      body: 'there is no such session\n',
    });
  });

  it.each(['PUT', 'DELETE'])('is invalid for %s', async (method) => {
    const url = server.execUrl(EXEC);
    const headers = { Upgrade: 'SPDY/3.1', 'X-Stream-Protocol-Version': V4 };
    expect(await upgrade(url, headers, method)).toMatchObject({ status: 404 });
    // The request did not use the URL up.
    expect(await upgrade(url, headers, 'GET')).toMatchObject({ status: 101 });
  });

  it('is used up by a request without an upgrade, which gets an error', async () => {
    const url = server.execUrl(EXEC);
    expect((await fetch(url)).status).toBe(400);
    expect((await fetch(url)).status).toBe(404);
    expect((await fetch(url.replace(/[^/]+$/, 'wrong'))).status).toBe(404);
  });

  it('must be requested with a known upgrade and a known protocol', async () => {
    const reply = await upgrade(server.execUrl(EXEC), { Upgrade: 'h2c' });
    expect(reply).toMatchObject({
      status: 400,
      body: 'this URL needs an upgrade to SPDY/3.1 or websocket\n',
      headers: { connection: 'close', 'content-type': 'text/plain; charset=utf-8', 'content-length': '51' },
    });
    const none = await upgrade(server.execUrl(EXEC), {
      Upgrade: 'SPDY/3.1',
      'X-Stream-Protocol-Version': ' ,',
    });
    expect(none).toMatchObject({
      status: 400,
      body: 'the header X-Stream-Protocol-Version is required\n',
    });
    const unknown = await upgrade(server.execUrl(EXEC), {
      ...{ Upgrade: 'WebSocket', 'Sec-WebSocket-Protocol': 'v9.channel.k8s.io' },
      ...{ 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': `${'A'.repeat(22)}==` },
    });
    expect(unknown).toMatchObject({
      status: 400,
      body: 'none of the offered WebSocket protocols is known\n',
    });
  });

  it('accepts a list of protocols, and the name of the upgrade in lower case', async () => {
    const reply = await upgrade(server.execUrl(EXEC), {
      ...{ Upgrade: 'spdy/3.1', 'X-Stream-Protocol-Version': 'v9.channel.k8s.io, v3.channel.k8s.io' },
    });
    expect(reply).toMatchObject({ status: 101, protocol: 'v3.channel.k8s.io' });
  });
});

describe('a client that resets its connection', () => {
  it('ends its session and nothing else', async () => {
    const client = await SpdyClient.dial(server.execUrl(EXEC), V4);
    for (const streamtype of ['error', 'stdout']) client.open({ streamtype });
    await until(() => asked.length === 1, 'the session');
    (client.socket as Socket).resetAndDestroy();
    ended.resolve();
    await until(() => server.sessionCount === 0, 'the end of the session');
    expect((await fetch(server.execUrl(EXEC))).status).toBe(400);
  });
});

describe('versionOf', () => {
  it.each([
    ['v4.channel.k8s.io', 4],
    ['v3.channel.k8s.io', 3],
    ['channel.k8s.io', 1],
    ['portforward.k8s.io', 1],
  ])('returns for %s the version %d', (protocol, version) => expect(versionOf(protocol)).toBe(version));
});

describe('a refusal', () => {
  it('is sent with its headers, and leaves no timer once the client has gone', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    try {
      const { near, far } = await socketPair();
      writeRefusal(far, new Refusal(403, 'no', { 'X-More': 'yes' }));
      let answer = '';
      near.on('data', (data: Buffer) => (answer += data.toString()));
      await once(near, 'end');
      expect(answer).toBe(
        'HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n' +
          'Content-Length: 3\r\nX-More: yes\r\n\r\nno\n',
      );
      expect(jest.getTimerCount()).toBe(1);
      const closed = once(far, 'close');
      near.destroy();
      await closed;
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });
});

describe('an observing daemon', () => {
  it('serves no sessions', async () => {
    const none = new NoStreaming();
    expect([await none.listen(), none.sessionCount]).toEqual(['off', 0]);
    (await none.prepareCertificate())();
    await none.close();
    for (const url of [() => none.execUrl(), () => none.attachUrl(), () => none.portForwardUrl()])
      expect(thrownBy(url)).toBe('FAILED_PRECONDITION this dockbridge serves no sessions');
  });
});
