import type { Socket } from 'node:net';
import { Flag, frame, FrameType, PREFACE } from '../../../../src/lib/http2/frames';
import { RawHttp2Client, type RequestOptions } from '../../../fakes/raw-http2-client';
import { ECHO, grpcClient, startFixture, STREAM, type Fixture } from './fixture';

const EMPTY_SETTINGS = frame(FrameType.SETTINGS, 0, 0, Buffer.alloc(0));
const hello = Buffer.from('hello');

let fixture: Fixture;
const clients: RawHttp2Client[] = [];

beforeEach(async () => {
  fixture = await startFixture();
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.socket.destroy();
  await fixture.stop();
});

function rawClient(write?: (socket: Socket, bytes: Buffer) => void): RawHttp2Client {
  const client = new RawHttp2Client(fixture.path, write);
  clients.push(client);
  return client;
}

async function expectEcho(client: RawHttp2Client, message: Buffer, options?: RequestOptions): Promise<void> {
  const { messages, headers } = await client.call(ECHO, message, options);
  expect(headers).toMatchObject({ ':status': '200', 'grpc-status': '0' });
  expect(messages).toHaveLength(1);
  expect(messages[0]!.equals(message)).toBe(true);
}

describe.each([
  ['the raw socket path', undefined],
  ['absent', null],
  ['the empty string', ''],
  ['a URL', 'unix:///run/x.sock'],
  ['a valid name', 'localhost'],
  ['an encoded path', '%2Frun%2Fx.sock'],
])('a client whose :authority is %s', (_name, authority) => {
  it('is served if it waits for our SETTINGS and then makes several calls that refer to the dynamic table', async () => {
    const client = rawClient();
    client.greet();
    await client.settings;
    for (let i = 0; i < 5; i += 1) await expectEcho(client, Buffer.from(`call ${i}`), { authority });
    expect(client.goawayCode).toBeUndefined();
  });

  it('is served if it calls at once, without waiting for SETTINGS', async () => {
    const client = rawClient();
    client.greet();
    await Promise.all([expectEcho(client, hello, { authority }), expectEcho(client, hello, { authority })]);
    await client.ping();
    expect(client.goawayCode).toBeUndefined();
  });

  it('is served if it sends everything byte by byte', async () => {
    const client = rawClient((socket, bytes) => {
      for (const byte of bytes) socket.write(Buffer.from([byte]));
    });
    client.socket.setNoDelay(true);
    client.greet();
    await expectEcho(client, hello, { authority });
    await expectEcho(client, hello, { authority, padding: 3, priority: true, fragment: 7 });
  });

  it('can transfer a megabyte in each direction', async () => {
    const client = rawClient();
    client.greet();
    const big = Buffer.alloc(1 << 20, 'dockbridge');
    await expectEcho(client, big, { authority });
    await expectEcho(client, hello, { authority });
  });

  it('can read a server stream and cancel another', async () => {
    const client = rawClient();
    client.greet();
    const { messages } = await client.call(STREAM, hello, { authority });
    expect(messages.map(String)).toEqual(Array.from({ length: 10 }, () => 'hello'));

    const { id, cancel } = client.open(STREAM, { authority });
    await client.sendMessage(id, Buffer.from('endless'));
    await client.received(id, 10 * (5 + 'endless'.length));
    cancel();
    await fixture.cancelled;
    await expectEcho(client, hello, { authority });
  });
});

describe('header blocks of an old client', () => {
  it('may have padding and priority, and come in pieces', async () => {
    const client = rawClient();
    client.greet();
    await expectEcho(client, hello, { padding: 0 });
    await expectEcho(client, hello, { padding: 255 });
    await expectEcho(client, hello, { priority: true });
    await expectEcho(client, hello, { padding: 9, priority: true, fragment: 20 });
  });

  it('may need several frames, and arrive unchanged', async () => {
    const client = rawClient();
    client.greet();
    const fields = Array.from({ length: 40 }, (_, i): [string, string] => [`x-${i}`, `${i}`.repeat(500)]);
    await expectEcho(client, hello, { fields });
    expect(fixture.seen[0]?.get('x-39')).toEqual(['39'.repeat(500)]);
    expect(fixture.seen[0]?.get('user-agent')).toEqual(['grpc-go/1.49.0']);
    await expectEcho(client, hello);
  });

  it('keep the dynamic table synchronized when it is resized and overflows', async () => {
    const client = rawClient();
    client.greet();
    await expectEcho(client, hello);
    const filler = Array.from({ length: 15 }, (_, i): [string, string] => [`fill-${i}`, 'v'.repeat(150)]);
    await expectEcho(client, hello, { fields: filler });
    await expectEcho(client, hello, { fields: filler });
    const block = Buffer.concat([
      Buffer.from([0x20]),
      Buffer.from([0x3f, 0xe1, 0x1f]),
      literalRequest(client.path),
    ]);
    client.send(frame(FrameType.HEADERS, Flag.END_HEADERS, 101, block));
    client.send(frame(0, Flag.END_STREAM, 101, Buffer.from([0, 0, 0, 0, 1, 7])));
    await client.ping();
    expect(client.goawayCode).toBeUndefined();
    expect(fixture.seen).toHaveLength(4);
  });
});

describe('clients of all kinds', () => {
  it('share the socket at the same time', async () => {
    const modern = [grpcClient(fixture.path), grpcClient(fixture.path, fixture.path)];
    const old = [rawClient(), rawClient()];
    for (const client of old) client.greet();
    await Promise.all([
      ...modern.map(async (client) => {
        for (let i = 0; i < 20; i += 1) {
          const message = Buffer.alloc(i * 5000, `${i}`);
          expect((await client.echo(message)).equals(message)).toBe(true);
        }
      }),
      ...old.map(async (client) => {
        for (let i = 0; i < 20; i += 1) await expectEcho(client, Buffer.alloc(i * 5000, `${i}`));
      }),
    ]);
    for (const client of modern) client.close();
  });

  it('may be idle, and grpc-js answers their pings even before their first call', async () => {
    const client = rawClient();
    client.greet();
    await client.ping();
    expect(client.acksReceived).toBe(1);
    await expectEcho(client, hello);
    await expectEcho(client, hello);
  });

  it('have their calls in progress finished when the listener closes', async () => {
    const client = rawClient();
    client.greet();
    const { id, result } = client.open(ECHO, {});
    await client.ping();
    await fixture.listener.close();
    await client.sendMessage(id, hello);
    expect((await result).messages.map(String)).toEqual(['hello']);
  });

  it('are disconnected when the listener closes before they have made a call', async () => {
    const client = rawClient();
    client.greet();
    await client.settings;
    await fixture.listener.close();
    await client.closed;
  });
});

describe('hostile clients lose only their own connection', () => {
  const start = Buffer.concat([PREFACE, EMPTY_SETTINGS]);
  const headers = (flags: number, payload: Buffer): Buffer => frame(FrameType.HEADERS, flags, 1, payload);
  const bomb = Buffer.concat([
    Buffer.from([0x40, 1, 0x61, 0x7f, 0xa1, 0x1e]), // literal with indexing, `a`: 4000 bytes
    Buffer.alloc(4000, 'b'),
    Buffer.alloc(10_000, 0x80 | 62),
  ]);
  it.each<[string, Buffer]>([
    ['garbage', Buffer.alloc(5000, 0xa5)],
    ['HTTP/1', Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n')],
    ['no SETTINGS', Buffer.concat([PREFACE, frame(6, 0, 0, Buffer.alloc(8))])],
    ['an ACK instead of SETTINGS', Buffer.concat([PREFACE, frame(4, Flag.ACK, 0, Buffer.alloc(0))])],
    ['a giant header frame', Buffer.concat([start, Buffer.from([0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 1])])],
    [
      'too much padding',
      Buffer.concat([start, headers(Flag.END_HEADERS | Flag.PADDED, Buffer.from([9, 0x82]))]),
    ],
    [
      'padding in an empty frame',
      Buffer.concat([start, headers(Flag.END_HEADERS | Flag.PADDED, Buffer.alloc(0))]),
    ],
    ['an interrupted block', Buffer.concat([start, headers(0, Buffer.from([0x82])), EMPTY_SETTINGS])],
    [
      'a foreign CONTINUATION',
      Buffer.concat([start, headers(0, Buffer.from([0x82])), frame(9, 4, 3, Buffer.alloc(0))]),
    ],
    ['an index out of bounds', Buffer.concat([start, headers(Flag.END_HEADERS, Buffer.from([0xff, 0x7f]))])],
    ['a truncated string', Buffer.concat([start, headers(Flag.END_HEADERS, Buffer.from([0x40, 0x7e]))])],
    ['an endless integer', Buffer.concat([start, headers(Flag.END_HEADERS, Buffer.alloc(300, 0xff))])],
    [
      'invalid Huffman code',
      Buffer.concat([start, headers(Flag.END_HEADERS, Buffer.from([0, 0x82, 0xff, 0xff]))]),
    ],
    [
      'an oversized table',
      Buffer.concat([start, headers(Flag.END_HEADERS, Buffer.from([0x3f, 0xe1, 0x7f]))]),
    ],
    ['an HPACK bomb', Buffer.concat([start, headers(Flag.END_HEADERS, bomb)])],
    [
      'an endless block',
      Buffer.concat([
        start,
        headers(0, Buffer.alloc(0)),
        ...Array<Buffer>(40_000).fill(frame(9, 0, 1, Buffer.alloc(0))),
      ]),
    ],
  ])('when they send %s', async (_name, bytes) => {
    const [hostile, late, good] = [rawClient(), rawClient(), rawClient()];
    hostile.send(bytes);
    await hostile.closed;
    // Repeats the same on a repaired connection that grpc-js serves.
    late.greet();
    await expectEcho(late, hello);
    if (bytes.subarray(0, start.length).equals(start)) {
      late.send(bytes.subarray(start.length));
      await late.closed;
    }
    good.greet();
    await expectEcho(good, hello);
  });

  it.each([
    ['without an :authority', undefined],
    ['with the :authority localhost', 'localhost'],
  ])('when they close in the middle of a call %s', async (_, authority) => {
    for (let cut = 1; cut < 200; cut += 9) {
      const client = rawClient((socket, bytes) => void socket.end(bytes.subarray(0, cut)));
      client.greet();
      await client.closed;
      const talking = rawClient();
      talking.greet();
      const { id } = talking.open(STREAM, { authority });
      void talking.sendMessage(id, Buffer.alloc(100_000));
      await talking.received(id, 1);
      talking.socket.destroy();
      await talking.closed;
    }
    const good = rawClient();
    good.greet();
    await expectEcho(good, hello);
  });
});

function literalRequest(authority: string): Buffer {
  const fields = [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', ECHO],
    [':authority', authority],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
  ] as const;
  return Buffer.concat(
    fields.map(([name, value]) =>
      Buffer.concat([
        Buffer.from([0, name.length]),
        Buffer.from(name),
        Buffer.from([value.length]),
        Buffer.from(value),
      ]),
    ),
  );
}
