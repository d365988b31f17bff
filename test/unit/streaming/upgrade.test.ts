import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { WebSocket } from 'ws';
import { silentLogger } from '../../../src/lib/logger';
import type { ClientStreams, StreamingBackend } from '../../../src/streaming/backend';
import { StreamingServer } from '../../../src/streaming/server';
import { dataHeader, controlFrame, FrameType, words } from '../../../src/streaming/spdy/frames';
import { HeaderEncoder } from '../../../src/streaming/spdy/headers';
import { SpdyClient, upgradeToSpdy } from '../../fakes/streaming-client';
import { gate, until, type Gate } from '../support/async';

let server: StreamingServer;
let session: Gate<ClientStreams>;
let exitCode: Gate<number>;
const forwarded = new PassThrough();

beforeEach(async () => {
  session = gate();
  exitCode = gate();
  const backend: StreamingBackend = {
    exec: (_, streams) => {
      session.resolve(streams);
      return exitCode.promise;
    },
    attach: () => Promise.reject(new Error('no')),
    connect: () => Promise.resolve(forwarded),
  };
  server = new StreamingServer({ bind: { host: '127.0.0.1', port: 0 }, backend, logger: silentLogger });
  await server.listen();
});
afterEach(() => {
  exitCode.resolve(0);
  return server.close();
});

const execUrl = (tty: boolean): string =>
  server.execUrl({ containerId: 'c', command: ['x'], stdin: true, stdout: true, stderr: false, tty });

/**
 * Sends a request together with the data that follows the upgrade. A client may do so if it does not wait for
 * the answer.
 */
async function dialWith(url: string, headers: readonly string[], early: Buffer): Promise<Socket> {
  const { port, pathname } = new URL(url);
  const socket = connect({ host: '127.0.0.1', port: Number(port) });
  socket.on('error', () => undefined);
  const lines = [`GET ${pathname} HTTP/1.1`, 'Host: x', 'Connection: Upgrade', ...headers, '', ''];
  socket.write(Buffer.concat([Buffer.from(lines.join('\r\n')), early]));
  await once(socket, 'readable');
  return socket;
}

/** Returns the frames of a client that opens streams with these headers, and sends data on the last one. */
function spdyFrames(all: readonly Record<string, string>[], said: string): Buffer {
  const encoder = new HeaderEncoder();
  const opened = all.map((headers, index) =>
    controlFrame(
      FrameType.SYN_STREAM,
      0,
      Buffer.concat([
        words(2 * index + 1, 0),
        Buffer.alloc(2),
        encoder.encode(new Map(Object.entries(headers))),
      ]),
    ),
  );
  return Buffer.concat([...opened, dataHeader(2 * all.length - 1, true, said.length), Buffer.from(said)]);
}

/** Returns a client's binary message of less than 126 bytes, with a zero mask. */
function webSocketMessage(payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x82, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
}

const WEB_SOCKET = [
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  `Sec-WebSocket-Key: ${'A'.repeat(22)}==`,
];

describe('data that a client sends together with its request', () => {
  it('is received over SPDY', async () => {
    const streams = ['error', 'stdout', 'stdin'].map((streamtype) => ({ streamtype }));
    const headers = ['Upgrade: SPDY/3.1', 'X-Stream-Protocol-Version: v4.channel.k8s.io'];
    const socket = await dialWith(execUrl(false), headers, spdyFrames(streams, 'early'));
    const { stdin } = await session.promise;
    expect(await text(stdin!)).toBe('early');
    socket.destroy();
  });

  it('is received over WebSocket', async () => {
    const early = Buffer.concat([
      webSocketMessage(Buffer.from('\0early')),
      webSocketMessage(Buffer.from([255, 0])),
    ]);
    const headers = [...WEB_SOCKET, 'Sec-WebSocket-Protocol: v5.channel.k8s.io'];
    const socket = await dialWith(execUrl(false), headers, early);
    const { stdin } = await session.promise;
    expect(await text(stdin!)).toBe('early');
    socket.destroy();
  });

  it('is received over SPDY inside a WebSocket', async () => {
    const pair = { port: '80', requestid: '1' };
    const early = spdyFrames(
      [
        { streamtype: 'error', ...pair },
        { streamtype: 'data', ...pair },
      ],
      'early',
    );
    const url = server.portForwardUrl({ sandboxId: 's', ports: [] });
    const headers = [...WEB_SOCKET, 'Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io'];
    const half = early.length / 2;
    const messages = [early.subarray(0, half), early.subarray(half)].map(webSocketMessage);
    const socket = await dialWith(url, headers, Buffer.concat(messages));
    const [heard] = (await once(forwarded, 'data')) as [Buffer];
    expect(heard.toString()).toBe('early');
    socket.destroy();
  });
});

describe('a client of SPDY', () => {
  const PROTOCOLS = ['v4.channel.k8s.io', 'v3.channel.k8s.io', 'v2.channel.k8s.io', 'channel.k8s.io'];
  const open = (client: SpdyClient, ...names: string[]) =>
    names.map((streamtype) => client.open({ streamtype }));

  it.each(PROTOCOLS.slice(0, 2))('with %s opens a stream for the sizes of its terminal', async (protocol) => {
    const client = await SpdyClient.dial(execUrl(true), protocol);
    const [resize] = open(client, 'resize', 'error', 'stdin', 'stdout');
    resize!.write('{"Width":132,"Height":43}');
    const { sizes, gone } = await session.promise;
    expect(await sizes.first(10_000, gone)).toEqual({ width: 132, height: 43 });
    client.close();
  });

  it.each(PROTOCOLS.slice(2))(
    'with %s has no stream for sizes, and its session does not wait for one',
    async (protocol) => {
      const client = await SpdyClient.dial(execUrl(true), protocol);
      const [stray] = open(client, 'resize');
      await until(() => stray!.destroyed, 'the refusal');
      open(client, 'error', 'stdin', 'stdout');
      await session.promise;
      client.close();
    },
  );

  it.each([
    { protocol: PROTOCOLS[0]!, said: /^\{.*"reason":"ExitCode","message":"7"/ },
    ...PROTOCOLS.slice(1).map((protocol) => ({ protocol, said: /^the command ended with exit code 7$/ })),
  ])("with $protocol gets an exit code in its protocol's form", async ({ protocol, said }) => {
    const client = await SpdyClient.dial(execUrl(false), protocol);
    const [error] = open(client, 'error', 'stdin', 'stdout');
    exitCode.resolve(7);
    expect(await text(error!)).toMatch(said);
    client.close();
  });

  it('gets the first of its protocols that is known, or the list of known ones', async () => {
    const reply = await upgradeToSpdy(execUrl(false), 'v9.channel.k8s.io', PROTOCOLS[2]!, PROTOCOLS[0]!);
    expect(reply).toMatchObject({ status: 101, protocol: PROTOCOLS[2] });
    expect(await upgradeToSpdy(execUrl(false), 'v9.channel.k8s.io')).toMatchObject({
      status: 403,
      headers: { 'x-accepted-stream-protocol-versions': PROTOCOLS.join(', ') },
    });
    const forward = server.portForwardUrl({ sandboxId: 's', ports: [80] });
    expect(await upgradeToSpdy(forward, PROTOCOLS[0]!)).toMatchObject({
      status: 403,
      headers: { 'x-accepted-stream-protocol-versions': 'portforward.k8s.io' },
    });
    expect(await upgradeToSpdy(execUrl(false))).toMatchObject({ status: 400 });
  });
});

describe('a client of WebSocket', () => {
  it.each(['v5.channel.k8s.io', 'v4.channel.k8s.io', 'channel.k8s.io', ''])(
    'with the protocol "%s" sends the sizes of its terminal on channel 4',
    async (protocol) => {
      const url = execUrl(true).replace('http:', 'ws:');
      const socket = new WebSocket(url, protocol === '' ? [] : [protocol]);
      await once(socket, 'open');
      socket.send(Buffer.from('\x04{"Width":132,"Height":43}'));
      const { sizes, gone } = await session.promise;
      expect(await sizes.first(10_000, gone)).toEqual({ width: 132, height: 43 });
      socket.terminate();
    },
  );

  it('gets its own protocol, whatever earlier clients use', async () => {
    const url = execUrl(false).replace('http:', 'ws:');
    const early = new WebSocket(url, ['v4.channel.k8s.io']);
    await once(early, 'open');
    const { port, pathname } = new URL(execUrl(false));
    const late = connect({ host: '127.0.0.1', port: Number(port) });
    const lines = [`GET ${pathname} HTTP/1.1`, 'Host: x', 'Connection: Upgrade', ...WEB_SOCKET];
    late.write([...lines, 'Sec-WebSocket-Protocol: v5.channel.k8s.io', '', ''].join('\r\n'));
    const [answer] = (await once(late, 'data')) as [Buffer];
    expect(answer.toString().match(/^sec-websocket-protocol: .*$/gim)).toEqual([
      'Sec-WebSocket-Protocol: v5.channel.k8s.io',
    ]);
    early.terminate();
    late.destroy();
  });
});
