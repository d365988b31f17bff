import { connect as connectSession } from 'node:http2';
import { connect } from 'node:net';
import { once } from 'node:events';
import * as grpc from '@grpc/grpc-js';
import { framed } from '../../../src/harness/proxy/grpc-messages';
import type { LineEntry } from '../../../src/harness/tape/entry';
import { TapeLines } from '../../../src/harness/tape/lines';
import { packed, type Piece, type Side } from '../../../src/harness/wire/pieces';
import { WireCalls } from '../../../src/harness/wire/wire-calls';
import { WireProxy } from '../../../src/harness/wire/wire-proxy';
import { Flag, frame, FrameType, headerFrames, PREFACE } from '../../../src/lib/http2/frames';
import { encodeLiterals } from '../../../src/lib/http2/header-fields';
import { silentLogger } from '../../../src/lib/logger';
import { Random } from '../support/random';
import { BareRuntime, BytesClient, message } from './support/runtime';

const VERSION = '/runtime.v1.RuntimeService/Version';
const EVENTS = '/runtime.v1.RuntimeService/GetContainerEvents';

const block = (...fields: [string, string][]): Buffer =>
  encodeLiterals(fields.map(([name, value]) => ({ name, value })));
const REQUEST = block([':method', 'POST'], [':path', VERSION], ['grpc-timeout', '10S'], ['x-mine', 'a']);
const HEAD = block([':status', '200']);
const TAIL = block(['grpc-status', '0']);
const data = (streamId: number, text: string, isEnd: boolean): Buffer =>
  frame(FrameType.DATA, isEnd ? Flag.END_STREAM : 0, streamId, message(text));
const number = (value: number): Buffer => {
  const four = Buffer.alloc(4);
  four.writeUInt32BE(value);
  return four;
};
const request = (streamId: number): Buffer =>
  Buffer.concat([headerFrames(streamId, false, REQUEST), data(streamId, 'ask', true)]);
const answer = (streamId: number): Buffer =>
  Buffer.concat([
    headerFrames(streamId, false, HEAD),
    data(streamId, 'told', false),
    headerFrames(streamId, true, TAIL),
  ]);

/** The messages of both sides in turn, as pieces one second apart that took one ms each. */
function piecesOf(...said: [Side, Buffer][]): Piece[] {
  return said.map(([from, bytes], at) => ({
    ...{ kind: 'bytes' as const, connection: 1, t: at, from, spentMs: 1, bytes },
  }));
}

/** Splits pieces into pieces of these sizes. */
function cut(pieces: readonly Piece[], size: () => number): Piece[] {
  return pieces.flatMap((piece) => {
    if (piece.kind !== 'bytes') return [piece];
    const parts: Piece[] = [];
    for (let at = 0; at < piece.bytes.length;) {
      const length = Math.max(1, size());
      parts.push({ ...piece, bytes: piece.bytes.subarray(at, at + length) });
      at += length;
    }
    return parts;
  });
}

function read(pieces: readonly Piece[]): {
  calls: WireCalls;
  entries: LineEntry[];
  problems: string[];
} {
  const calls = new WireCalls();
  const entries: LineEntry[] = [];
  const problems: string[] = [];
  for (const piece of pieces) {
    const found = calls.read(packed([piece]));
    entries.push(...found.entries);
    problems.push(...found.problems);
  }
  return { calls, entries, problems };
}

const ends = (entries: readonly LineEntry[]): unknown[] =>
  entries.flatMap((entry) => (entry.kind === 'end' ? [[entry.n, entry.status, entry.by]] : []));
const HELLO: [Side, Buffer] = [
  'client',
  Buffer.concat([PREFACE, frame(FrameType.SETTINGS, 0, 0, Buffer.alloc(0))]),
];

it.each([1, 2, 9, 10, 100_000])('a call is read from pieces of %i bytes', (size) => {
  const pieces = piecesOf(HELLO, ['client', request(1)], ['runtime', answer(1)]);
  const { calls, entries, problems } = read(cut(pieces, () => size));
  expect(entries).toEqual([
    {
      ...{ kind: 'begin', n: 1, t: 1, path: VERSION, deadlineMs: 10_000, metadata: { 'x-mine': 'a' } },
      request: { length: 3, compressed: false, bytes: new Uint8Array(Buffer.from('ask')) },
    },
    {
      ...{ kind: 'end', n: 1, t: 2, path: VERSION, status: 'OK', ms: 1_000 },
      response: { length: 4, compressed: false, bytes: new Uint8Array(Buffer.from('told')) },
    },
  ]);
  expect(problems).toEqual([]);
  expect([calls.calls, calls.lost]).toEqual([1, 0]);
  expect(calls.spent.report()).toMatchObject({ calls: 1 });
  // One ms for the last piece of the request, and one for the last piece of the answer.
  expect(calls.spent.report().max).toBeCloseTo(2, 1);
});

it('a call is read despite padding, priority, continuations and unknown frames', () => {
  const head = frame(
    FrameType.HEADERS,
    Flag.PADDED | Flag.PRIORITY,
    1,
    Buffer.concat([Buffer.from([3, 0, 0, 0, 0, 15]), REQUEST.subarray(0, 20), Buffer.alloc(3)]),
  );
  const rest = frame(FrameType.CONTINUATION, Flag.END_HEADERS, 1, REQUEST.subarray(20));
  const empty = frame(FrameType.CONTINUATION, 0, 1, Buffer.alloc(0));
  const padded = frame(
    FrameType.DATA,
    Flag.PADDED | Flag.END_STREAM,
    1,
    Buffer.concat([Buffer.from([4]), message('ask'), Buffer.alloc(4)]),
  );
  const ping = frame(6, 0, 0, Buffer.alloc(8));
  const unknown = frame(0x42, 0xff, 1, Buffer.from('whatever'));
  const { entries } = read(
    piecesOf(
      HELLO,
      ['client', Buffer.concat([ping, head, empty, rest, unknown, padded])],
      ['runtime', Buffer.concat([headerFrames(1, false, block([':status', '103'])), answer(1)])],
    ),
  );
  expect(entries).toMatchObject([{ request: { length: 3 } }, { status: 'OK', response: { length: 4 } }]);
});

it('the entry says who ended a call without an answer', () => {
  const reset = (id: number, code: number): Buffer => frame(FrameType.RST_STREAM, 0, id, number(code));
  const asked = Buffer.concat([1, 3, 5, 7, 9, 11].map(request));
  const { entries } = read([
    ...piecesOf(
      HELLO,
      ['client', asked],
      ['client', reset(1, 8)],
      ['runtime', reset(3, 11)],
      // Calls after the seventh stream were not read.
      ['runtime', frame(FrameType.GOAWAY, 0, 0, Buffer.concat([number(7), number(0)]))],
      // The answer crosses the client's reset.
      ['runtime', Buffer.concat([answer(1), answer(5)])],
    ),
    { kind: 'closed', connection: 1, t: 20, by: 'runtime' },
  ]);
  expect(ends(entries)).toEqual([
    [1, 'CANCELLED', 'client'],
    [2, 'RESOURCE_EXHAUSTED', 'runtime'],
    [5, 'UNAVAILABLE', 'runtime'],
    [6, 'UNAVAILABLE', 'runtime'],
    [3, 'OK', undefined],
    // The call took nineteen seconds, and the client had allowed ten.
    [4, 'DEADLINE_EXCEEDED', 'runtime'],
  ]);
});

it.each([
  ['client', 'CANCELLED'],
  ['runtime', 'UNAVAILABLE'],
  ['proxy', 'UNAVAILABLE'],
] as const)('calls of a connection that the %s ends are %s', (by, status) => {
  const { entries } = read([
    ...piecesOf(HELLO, ['client', request(1)]),
    { kind: 'closed', connection: 1, t: 2, by },
  ]);
  expect(ends(entries)).toEqual([[1, status, by]]);
});

it('a call whose bytes were still on their way has no time in the proxy', () => {
  const { calls } = read(
    piecesOf(HELLO, ['client', request(1)], ['runtime', answer(1)]).map((piece) => ({
      ...piece,
      spentMs: NaN,
    })),
  );
  expect(calls.spent.report().calls).toBe(0);
});

it.each<[string, Side, Buffer, string]>([
  ['a pushed stream', 'runtime', frame(FrameType.PUSH_PROMISE, 4, 1, number(2)), 'PUSH_PROMISE'],
  [
    'a header block without a stream',
    'client',
    frame(FrameType.CONTINUATION, 4, 1, REQUEST),
    'without HEADERS',
  ],
  ['a short reset', 'client', frame(FrameType.RST_STREAM, 0, 1, Buffer.alloc(2)), 'too short'],
  ['invalid settings', 'runtime', frame(FrameType.SETTINGS, 0, 0, Buffer.alloc(5)), 'with a wrong length'],
  ['invalid header fields', 'runtime', headerFrames(1, true, Buffer.from([0xff, 0xff, 1])), 'undecodable'],
  ['only padding', 'client', frame(FrameType.DATA, Flag.PADDED, 1, Buffer.from([9])), 'padding'],
])('%s: the tape says what is missing, and other connections continue', (_, from, bytes, why) => {
  const other = piecesOf(HELLO, ['client', request(1)], ['runtime', answer(1)]).map((piece) => ({
    ...{ ...piece, connection: 2 },
  }));
  const { calls, entries, problems } = read([
    ...piecesOf(
      HELLO,
      ['client', Buffer.concat([request(1), request(3)])],
      [from, bytes],
      ['runtime', answer(1)],
    ),
    { kind: 'closed', connection: 1, t: 9, by: 'client' },
    ...other,
  ]);
  const told = entries.filter(({ kind }) => kind === 'lost');
  expect(told).toEqual([{ kind: 'lost', t: 2, lost: 2, why: expect.stringContaining(why) as string }]);
  expect(problems).toEqual([
    expect.stringMatching(new RegExp(`^connection 1 is no longer recorded: the bytes that the ${from} sent`)),
  ]);
  expect(calls.lost).toBe(2);
  expect(ends(entries)).toEqual([[3, 'OK', undefined]]);
  expect(JSON.parse(new TapeLines(undefined).textOf(told[0]!))).toMatchObject({ t: 2, lost: 2 });
});

it('after a gap, the rest of the connection is not read, but a later connection is', () => {
  const { entries } = read([
    ...piecesOf(HELLO),
    { kind: 'torn', connection: 1, t: 1 },
    ...piecesOf(['client', request(1)]),
    { kind: 'closed', connection: 1, t: 3, by: 'client' },
  ]);
  expect(entries).toEqual([
    {
      ...{ kind: 'lost', t: 1, lost: 1 },
      why: 'connection 1 is no longer recorded: the disk was too slow',
    },
  ]);
});

/** Bytes that grpc-js and the HTTP/2 of Node.js really exchange, with Huffman codes and indices. */
async function transcript(calls: number, settings: object = {}, more: object = {}): Promise<Piece[]> {
  const runtime = await BareRuntime.start({ settings, ...more });
  const pieces: Piece[] = [];
  let connections = 0;
  const proxy = new WireProxy({
    ...{ listen: runtime.proxyEndpoint, upstream: runtime.endpoint, logger: silentLogger, now: () => 0 },
    follow: () => {
      const connection = ++connections;
      return {
        passing: (from, chunk) => {
          const bytes = Buffer.from(chunk);
          pieces.push({ kind: 'bytes', connection, t: pieces.length / 1000, from, spentMs: 0.1, bytes });
          return undefined;
        },
        closed: (by) => void pieces.push({ kind: 'closed', connection, t: pieces.length / 1000, by }),
      };
    },
  });
  await proxy.listen();
  const client = new BytesClient(runtime.proxyEndpoint);
  for (let at = 0; at < calls; at++) {
    const metadata = new grpc.Metadata();
    metadata.add('x-number', String(at % 7));
    metadata.add(`x-${at % 5}`, 'y'.repeat(at * 10));
    await client.call(VERSION, Buffer.from(`call ${at}`), { deadline: Date.now() + 60_000 }, metadata).answer;
  }
  runtime.answer = (call) => runtime.reply(call, Buffer.concat([message('one'), message('two')]));
  const events = client.stream(EVENTS, Buffer.alloc(0));
  events.resume();
  await once(events, 'end');
  client.close();
  await proxy.close();
  await runtime.stop();
  return pieces;
}

it.each([
  ['with default settings', {}, {}],
  ['without a table', { headerTableSize: 0 }, {}],
  ['with a large table', { headerTableSize: 65_536 }, { maxDeflateDynamicTableSize: 65_536 }],
])('real connections are read completely, %s, however their bytes are split', async (_, settings, more) => {
  const pieces = await transcript(60, settings, more);
  for (const size of [1, 17, 100_000]) {
    const { calls, entries, problems } = read(cut(pieces, () => size));
    expect(problems).toEqual([]);
    expect(calls.calls).toBe(61);
    expect(entries.filter((entry) => entry.kind === 'end' && entry.status === 'OK')).toHaveLength(61);
    const begins = entries.flatMap((entry) => (entry.kind === 'begin' ? [entry] : []));
    expect(begins.slice(0, -1).map(({ metadata }) => metadata['x-number'])).toEqual(
      Array.from({ length: 60 }, (_item, at) => String(at % 7)),
    );
    expect(begins.map(({ path }) => path)).toEqual([...Array.from({ length: 60 }, () => VERSION), EVENTS]);
    expect(entries.filter(({ kind }) => kind === 'message')).toHaveLength(2);
  }
});

it('both sides may change the size of their header tables between calls', async () => {
  const runtime = await BareRuntime.start();
  const pieces: Piece[] = [];
  const proxy = new WireProxy({
    ...{ listen: runtime.proxyEndpoint, upstream: runtime.endpoint, logger: silentLogger, now: () => 0 },
    follow: () => ({
      passing: (from, chunk) => {
        const bytes = Buffer.from(chunk);
        pieces.push({ kind: 'bytes', connection: 1, t: 0, from, spentMs: 0, bytes });
        return undefined;
      },
      closed: () => undefined,
    }),
  });
  await proxy.listen();
  const session = connectSession('http://localhost', {
    createConnection: () => connect(runtime.proxyEndpoint.slice('unix://'.length)),
  });
  for (const headerTableSize of [4_096, 0, 100, 16_384, 50]) {
    const [server] = runtime.sessions;
    if (server !== undefined)
      await Promise.all([
        new Promise<void>((resolve) => server.settings({ headerTableSize }, () => resolve())),
        new Promise<void>((resolve) => session.settings({ headerTableSize }, () => resolve())),
      ]);
    for (let at = 0; at < 5; at++) {
      const stream = session.request({
        ':method': 'POST',
        ':path': VERSION,
        'x-mine': 'same',
        [`x-${at}`]: 'b',
      });
      stream.end(message(''));
      stream.resume();
      await once(stream, 'close');
    }
  }
  session.close();
  await once(session, 'close');
  await proxy.close();
  await runtime.stop();
  const { calls, entries, problems } = read(pieces);
  expect([calls.calls, problems]).toEqual([25, []]);
  const begins = entries.flatMap((entry) => (entry.kind === 'begin' ? [entry.metadata['x-mine']] : []));
  expect(begins).toEqual(Array.from({ length: 25 }, () => 'same'));
});

describe('arbitrary bytes', () => {
  /** Checks that all entries are valid, and that each connection that cannot be read has one `lost` entry. */
  function survives(pieces: readonly Piece[]): { problems: string[]; entries: LineEntry[] } {
    const { calls, entries, problems } = read(pieces);
    const lines = new TapeLines(undefined);
    for (const entry of entries) expect(typeof JSON.parse(lines.textOf(entry))).toBe('object');
    const told = entries.filter(({ kind }) => kind === 'lost');
    expect(told).toHaveLength(problems.length);
    expect(calls.lost).toBe(told.reduce((sum, entry) => sum + (entry.kind === 'lost' ? entry.lost : 0), 0));
    // No call ends twice, and none ends that has not begun.
    const begun = entries.flatMap((entry) => (entry.kind === 'begin' ? [entry.n] : []));
    const ended = entries.flatMap((entry) => (entry.kind === 'end' ? [entry.n] : []));
    expect(new Set(ended).size).toBe(ended.length);
    expect(ended.every((n) => begun.includes(n))).toBe(true);
    return { problems, entries };
  }

  it('may damage a real connection anywhere', async () => {
    const pieces = await transcript(12);
    let damaged = 0;
    for (let seed = 1; seed <= 300; seed++) {
      const random = new Random(seed);
      const torn = cut(pieces, () => random.below(400));
      const victim = random.below(torn.length);
      const changed = torn.flatMap((piece, at): Piece[] => {
        if (at !== victim || piece.kind !== 'bytes') return [piece];
        const bytes = Buffer.from(piece.bytes);
        switch (random.below(4)) {
          case 0:
            return [];
          case 1:
            return [piece, piece];
          case 2:
            return [{ ...piece, bytes: bytes.subarray(0, random.below(bytes.length)) }];
          default:
            for (let flips = 1 + random.below(4); flips > 0; flips--)
              bytes.writeUInt8(random.below(256), random.below(bytes.length));
            return [{ ...piece, bytes }];
        }
      });
      damaged += survives(changed).problems.length;
    }
    // Not every change is visible, because the bytes of a message can have any value.
    expect(damaged).toBeGreaterThan(50);
  });

  it('may be random frames of all types on a valid connection', () => {
    let damaged = 0;
    for (let seed = 1; seed <= 1_000; seed++) {
      const random = new Random(seed);
      const bytes = (most: number): Buffer =>
        Buffer.from(Array.from({ length: random.below(most) }, () => random.below(256)));
      const said: [Side, Buffer][] = [HELLO, ['client', request(1)]];
      for (let count = 1 + random.below(20); count > 0; count--) {
        const payload = random.pick([bytes(60), REQUEST, HEAD, TAIL, message('x'), framed(bytes(9), true)]);
        const one = frame(random.below(11), random.below(256) & random.below(256), random.below(8), payload);
        said.push([random.pick(['client', 'runtime'] as const), one]);
      }
      damaged += survives(cut(piecesOf(...said), () => random.below(50))).problems.length;
    }
    expect(damaged).toBeGreaterThan(500);
  });

  it('may be noise', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = new Random(seed);
      const noise = (): Buffer =>
        Buffer.from(Array.from({ length: random.below(500) }, () => random.below(256)));
      const start = random.chance(0.5) ? HELLO : (['client', noise()] as [Side, Buffer]);
      survives(
        piecesOf(start, ['client', noise()], ['runtime', noise()], ['runtime', noise()], ['client', noise()]),
      );
    }
  });
});
