import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EndedBy } from '../../../src/harness/proxy/relay';
import type { Side } from '../../../src/harness/wire/pieces';
import { WireProxy } from '../../../src/harness/wire/wire-proxy';
import { loggerInto, thresholdOf } from '../../../src/lib/logger';
import { gate } from '../support/async';
import { Random } from '../support/random';

let directory: string;
let server: Server;
let proxy: WireProxy;
/** The callbacks for the next connections at the runtime, in order. */
let joined: ((socket: Socket) => void)[];
let sockets: Socket[];
let ends: EndedBy[];
let spent: number[];
let said: string[];
let onPass: (from: Side, chunk: Buffer) => void;
const place = (name: string): string => join(directory, name);

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-wire-'));
  [joined, sockets, ends, spent, said] = [[], [], [], [], []];
  onPass = () => undefined;
  server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    sockets.push(socket);
    joined.shift()?.(socket);
  });
  server.listen(place('runtime.sock'));
  await once(server, 'listening');
  proxy = new WireProxy({
    listen: `unix://${place('proxy.sock')}`,
    upstream: `unix://${place('runtime.sock')}`,
    logger: loggerInto((_level, message) => void said.push(message()), thresholdOf('warn')),
    now: () => 0,
    follow: () => ({
      passing: (from, chunk) => {
        onPass(from, chunk);
        return (ms) => void spent.push(ms);
      },
      closed: (by) => void ends.push(by),
    }),
  });
  await proxy.listen();
});
afterEach(async () => {
  await proxy.close();
  for (const socket of sockets) socket.destroy();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  await rm(directory, { recursive: true, force: true });
});

/** A client, and the runtime's end of its connection. */
async function pair(through = 'proxy.sock'): Promise<{ client: Socket; runtime: Socket }> {
  const arrived = new Promise<Socket>((resolve) => joined.push(resolve));
  const client = connect({ path: place(through), allowHalfOpen: true });
  sockets.push(client);
  client.on('error', () => undefined);
  return { client, runtime: await arrived };
}

/** Returns the number and the hash of the bytes until the end of this direction. */
function sink(socket: Socket): Promise<{ bytes: number; hash: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    hash.update(chunk);
  });
  return once(socket, 'end').then(() => ({ bytes, hash: hash.digest('hex') }));
}

/**
 * Writes random bytes in random pieces, and ends its direction. Waits for a full buffer to drain, and sometimes for
 * one turn of the event loop.
 */
async function send(socket: Socket, random: Random): Promise<{ bytes: number; hash: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for (let left = 1 + random.below(60); left > 0; left--) {
    const size = random.chance(0.1) ? random.below(700_000) : random.below(3_000);
    const chunk = Buffer.from(Array.from({ length: Math.min(size, 300) }, () => random.below(256)));
    const whole = Buffer.alloc(size, chunk.length === 0 ? undefined : chunk);
    bytes += size;
    hash.update(whole);
    const isSlow = random.chance(0.3);
    if (!socket.write(whole)) await once(socket, 'drain');
    else if (isSlow) await new Promise((resolve) => setImmediate(resolve));
  }
  socket.end();
  return { bytes, hash: hash.digest('hex') };
}

it.each([1, 2, 3, 4, 5, 6, 7, 8])(
  'random bytes in random pieces arrive unchanged in both directions at once (seed %i)',
  async (seed) => {
    const random = new Random(seed);
    const copies = { client: createHash('sha256'), runtime: createHash('sha256') };
    onPass = (from, chunk) => void copies[from].update(chunk);
    const seen = [];
    // The second connection has no proxy.
    for (const through of ['proxy.sock', 'runtime.sock']) {
      const { client, runtime } = await pair(through);
      const asked = new Random(seed * 1_000 + 1);
      const answered = new Random(seed * 1_000 + 2);
      const received = [sink(runtime), sink(client)];
      // A reader that pauses pushes back through the proxy.
      if (random.chance(0.5)) {
        client.pause();
        setImmediate(() => client.resume());
      }
      const sent = [await Promise.all([send(client, asked), send(runtime, answered)])].flat();
      expect(await Promise.all(received)).toEqual(sent);
      seen.push(sent);
    }
    expect(seen[0]).toEqual(seen[1]);
    expect([copies.client.digest('hex'), copies.runtime.digest('hex')]).toEqual(
      seen[0]?.map(({ hash }) => hash),
    );
  },
);

it('one direction can end while the other continues', async () => {
  const { client, runtime } = await pair();
  const asked = sink(runtime);
  client.end('question');
  expect((await asked).bytes).toBe(8);
  const answered = sink(client);
  runtime.write('answer');
  await once(client, 'readable').catch(() => undefined);
  runtime.end(' and more');
  expect((await answered).bytes).toBe(15);
});

it('the client of a runtime that goes away gets its last bytes and then the end', async () => {
  const { client, runtime } = await pair();
  client.pause();
  const bytes = Buffer.alloc(3_000_000, 'abc');
  // The runtime goes away when everything is written. Most of the bytes are in the proxy then.
  runtime.write(bytes, () => runtime.destroy());
  const closed = once(client, 'close');
  const answered = sink(client);
  client.resume();
  expect((await answered).bytes).toBe(bytes.length);
  client.end();
  await closed;
  while (ends.length === 0) await new Promise((resolve) => setImmediate(resolve));
  expect(ends).toEqual(['runtime']);
});

it.each<[EndedBy, (sockets: { client: Socket; runtime: Socket }) => void]>([
  ['client', ({ client }) => client.destroy()],
  ['runtime', ({ runtime }) => runtime.destroy()],
])('when the %s goes away, the proxy closes the connection to the other side', async (by, leave) => {
  const sockets = await pair();
  const { client, runtime } = sockets;
  const other = by === 'client' ? runtime : client;
  const ended = once(other, 'end');
  other.resume();
  leave(sockets);
  await ended;
  const closed = once(other, 'close');
  other.end();
  await closed;
  while (ends.length === 0) await new Promise((resolve) => setImmediate(resolve));
  expect(ends).toEqual([by]);
});

it('a client that does not read gets no more than fits into the buffers', async () => {
  const { client, runtime } = await pair();
  client.pause();
  let passed = 0;
  onPass = (_from, chunk) => (passed += chunk.length);
  const all = 50_000_000;
  const isWritten = gate();
  runtime.write(Buffer.alloc(all), () => isWritten.resolve());
  const first = gate();
  onPass = (_from, chunk) => {
    passed += chunk.length;
    first.resolve();
  };
  await first.promise;
  for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(passed).toBeLessThan(5_000_000);
  client.resume();
  await isWritten.promise;
});

it('a proxy closes its connections even if a client does not read', async () => {
  const { client, runtime } = await pair();
  client.pause();
  const first = gate();
  onPass = () => first.resolve();
  runtime.write(Buffer.alloc(8_000_000));
  await first.promise;
  await proxy.close();
  expect(ends).toEqual(['proxy']);
});

it('bytes that have arrived are still written when the proxy closes', async () => {
  const { client, runtime } = await pair();
  const passed = gate();
  onPass = () => passed.resolve();
  const answered = sink(client);
  runtime.write('the last words');
  await passed.promise;
  await proxy.close();
  expect((await answered).bytes).toBe(14);
});

it('a missing runtime is reported once, and its clients are disconnected', async () => {
  await new Promise<void>((resolve) => server.close(() => resolve()));
  for (let attempt = 0; attempt < 3; attempt++) {
    const client = connect(place('proxy.sock'));
    client.on('error', () => undefined);
    client.resume();
    await once(client, 'close');
    while (ends.length <= attempt) await new Promise((resolve) => setImmediate(resolve));
  }
  expect(said).toEqual([expect.stringMatching(/^unix:\/\/.*runtime\.sock does not answer/)]);
  expect(ends).toEqual(['runtime', 'runtime', 'runtime']);
  server.listen(place('runtime.sock'));
  await once(server, 'listening');
  await pair();
});

it('the time of bytes in the proxy is reported when the kernel has them', async () => {
  const { client, runtime } = await pair();
  const received = once(runtime, 'data');
  client.write('x');
  await received;
  while (spent.length === 0) await new Promise((resolve) => setImmediate(resolve));
  expect(spent).toEqual([expect.any(Number)]);
  expect(spent[0]).toBeGreaterThan(0);
});

it('a proxy that is closed while it begins to listen leaves no socket', async () => {
  await proxy.close();
  const listening = proxy.listen();
  await proxy.close();
  await listening;
  await expect(stat(place('proxy.sock'))).rejects.toThrow('ENOENT');
  await proxy.listen();
  await pair();
});
