import Long from 'long';
import { MAX_PAYLOAD_BYTES, Mux, type MuxReader } from '../../../src/nri/mux';
import { TtrpcClient } from '../../../src/nri/ttrpc/client';
import {
  DATA,
  type Frame,
  FrameReader,
  MAX_MESSAGE_BYTES,
  REQUEST,
  RESPONSE,
} from '../../../src/nri/ttrpc/frame';
import { served, type ServedMethod, TtrpcServer } from '../../../src/nri/ttrpc/server';
import { failedPrecondition } from '../../../src/lib/errors';
import type { Decoded } from '../../../src/proto';
import { nri, ttrpc } from '../../../src/proto/nri';
import { gate, until } from '../support/async';
import { rejectionOf } from '../support/errors';
import { type SocketPair, withSocketPair } from './sockets';

const CODECS = { request: nri.KeyValue, response: nri.KeyValue };
type KeyValue = Decoded<nri.IKeyValue>;

function echo(handle: (request: KeyValue, signal: AbortSignal) => Promise<nri.IKeyValue>): ServedMethod {
  return served(CODECS, (request, signal) => handle(request as KeyValue, signal));
}

/** A client on `one` and a server on `other`. */
function connected(
  { one, other }: SocketPair,
  methods: Record<string, ServedMethod>,
): { client: TtrpcClient; server: Mux; mux: Mux } {
  const [mux, server] = [new Mux(one), new Mux(other)];
  const client = new TtrpcClient(mux, 1);
  new TtrpcServer(server, 1, 'test.Service', new Map(Object.entries(methods)));
  mux.start();
  server.start();
  return { client, server, mux };
}

const call = (client: TtrpcClient, method: string, key: string, timeoutMs = 30_000): Promise<unknown> =>
  client.call('test.Service', method, CODECS, { key, value: 'v' }, timeoutMs);

/** The bare other end of a connection, which sends and receives frames. */
class Raw implements MuxReader {
  readonly frames: Frame[] = [];
  private readonly reader = new FrameReader((frame) => this.frames.push(frame));
  private readonly connection;

  constructor(readonly mux: Mux) {
    this.connection = mux.open(1, this);
    mux.start();
  }
  receive(piece: Uint8Array): void {
    this.reader.receive(piece);
  }
  closed(): void {
    // The tests look at the multiplexer.
  }
  send(stream: number, type: number, message: Uint8Array, flags = 0, length = message.length): void {
    const header = Buffer.alloc(10);
    header.writeUInt32BE(length, 0);
    header.writeUInt32BE(stream, 4);
    header.writeUInt8(type, 8);
    header.writeUInt8(flags, 9);
    this.connection.send([Buffer.concat([header, message])]);
  }
}

const request = (method: string, timeoutMs = 0): Uint8Array =>
  ttrpc.Request.encode({
    service: 'test.Service',
    method,
    payload: nri.KeyValue.encode({ key: 'k' }).finish(),
    timeout_nano: Long.fromNumber(timeoutMs * 1e6),
  }).finish();

describe('A ttrpc call', () => {
  it('returns the answer of the method that it names', () =>
    withSocketPair(async (pair) => {
      const { client } = connected(pair, {
        Echo: echo(({ key, value }) => Promise.resolve({ key: value, value: key })),
      });
      await expect(call(client, 'Echo', 'k')).resolves.toMatchObject({ key: 'v', value: 'k' });
    }));

  it('gets its own answer when later calls are answered first', () =>
    withSocketPair(async (pair) => {
      const slow = gate();
      const { client } = connected(pair, {
        Echo: echo(async ({ key }) => {
          if (key === 'slow') await slow.promise;
          return { key };
        }),
      });
      const first = call(client, 'Echo', 'slow');
      await expect(call(client, 'Echo', 'quick')).resolves.toMatchObject({ key: 'quick' });
      slow.resolve();
      await expect(first).resolves.toMatchObject({ key: 'slow' });
    }));

  it('works in both directions over one socket', () =>
    withSocketPair(async ({ one, other }) => {
      const ends = [new Mux(one), new Mux(other)] as const;
      const back = (name: string): ServedMethod => echo(() => Promise.resolve({ key: name }));
      new TtrpcServer(ends[0], 1, 'test.Service', new Map([['Who', back('one')]]));
      new TtrpcServer(ends[1], 2, 'test.Service', new Map([['Who', back('other')]]));
      const toOther = new TtrpcClient(ends[0], 2);
      const toOne = new TtrpcClient(ends[1], 1);
      ends.forEach((end) => end.start());
      const answers = await Promise.all([call(toOther, 'Who', ''), call(toOne, 'Who', '')]);
      expect(answers).toMatchObject([{ key: 'other' }, { key: 'one' }]);
    }));

  it('puts a large message into two frames, of which the first fits in the buffer of the Go client', () =>
    withSocketPair(async ({ one, other }) => {
      const mux = new Mux(one);
      const client = new TtrpcClient(mux, 1);
      mux.start();
      let wire = Buffer.alloc(0);
      other.on('data', (chunk: Buffer) => (wire = Buffer.concat([wire, chunk])));
      const value = 'x'.repeat(MAX_MESSAGE_BYTES - 100);
      const failed = rejectionOf(client.call('s', 'm', CODECS, { key: '', value }, 30_000));
      await until(() => wire.length > 12 && wire.length === 2 * 8 + 10 + wire.readUInt32BE(8));
      const message = wire.readUInt32BE(8);
      expect(message).toBeGreaterThan(MAX_MESSAGE_BYTES - 100);
      expect([wire.readUInt32BE(0), wire.readUInt32BE(4)]).toEqual([1, 4096]);
      const second = 8 + 4096;
      expect([wire.readUInt32BE(second), wire.readUInt32BE(second + 4)]).toEqual([1, 10 + message - 4096]);
      other.destroy();
      expect(await failed).toMatch(/^UNAVAILABLE/);
    }));

  it('carries the largest message', () =>
    withSocketPair(async (pair) => {
      const { client } = connected(pair, {
        Size: echo(({ key }) => Promise.resolve({ key: String(key.length) })),
      });
      const key = 'x'.repeat(MAX_MESSAGE_BYTES - 100);
      await expect(call(client, 'Size', key)).resolves.toMatchObject({ key: String(key.length) });
    }));

  it('fails before anything is sent when the message is too large', () =>
    withSocketPair(async (pair) => {
      const { client } = connected(pair, { Echo: echo(({ key }) => Promise.resolve({ key })) });
      expect(await rejectionOf(call(client, 'Echo', 'x'.repeat(MAX_MESSAGE_BYTES)))).toMatch(
        /^RESOURCE_EXHAUSTED the message has \d+ bytes; ttrpc allows 4194304/,
      );
      expect(pair.one.bytesWritten).toBe(0);
      await expect(call(client, 'Echo', 'small')).resolves.toMatchObject({ key: 'small' });
    }));

  it('fails with the code and message of the other end', () =>
    withSocketPair(async (pair) => {
      const { client } = connected(pair, {
        Fail: echo(() => Promise.reject(failedPrecondition('not today'))),
        Throw: echo(() => Promise.reject(new Error('a bug'))),
      });
      expect(await rejectionOf(call(client, 'Fail', ''))).toBe('FAILED_PRECONDITION not today');
      expect(await rejectionOf(call(client, 'Throw', ''))).toBe('UNKNOWN a bug');
      expect(await rejectionOf(call(client, 'Missing', ''))).toBe(
        'UNIMPLEMENTED test.Service/Missing is not served here',
      );
    }));

  it('fails at its deadline, and ignores the answer that comes later', () =>
    withSocketPair(async ({ one, other }) => {
      const mux = new Mux(one);
      const client = new TtrpcClient(mux, 1);
      mux.start();
      const raw = new Raw(new Mux(other));
      expect(await rejectionOf(call(client, 'Slow', '', 20))).toBe(
        'DEADLINE_EXCEEDED Slow took longer than 20 ms',
      );
      await until(() => raw.frames.length === 1);
      expect(ttrpc.Request.decode(raw.frames[0]!.message).timeout_nano.toString()).toBe('20000000');
      const answer = (key: string): Uint8Array =>
        ttrpc.Response.encode({ payload: nri.KeyValue.encode({ key }).finish() }).finish();
      raw.send(1, RESPONSE, answer('late'));
      const next = call(client, 'Next', '');
      await until(() => raw.frames.length === 2);
      raw.send(3, RESPONSE, answer('next'));
      await expect(next).resolves.toMatchObject({ key: 'next' });
    }));

  it('fails when the connection closes before, during and after it', () =>
    withSocketPair(async (pair) => {
      const entered = gate();
      const { client, mux } = connected(pair, {
        Hang: echo(() => {
          entered.resolve();
          return new Promise(() => undefined);
        }),
      });
      const during = rejectionOf(call(client, 'Hang', ''));
      await entered.promise;
      pair.other.destroy();
      expect(await during).toMatch(/^UNAVAILABLE /);
      await mux.closed;
      expect(await rejectionOf(call(client, 'Hang', ''))).toMatch(/^UNAVAILABLE /);
    }));

  it.each<[string, (raw: Raw) => void, RegExp]>([
    [
      'a frame of type 1',
      (raw) => raw.send(1, REQUEST, request('x')),
      /a frame of type 1 instead of an answer/,
    ],
    ['a frame of type 3', (raw) => raw.send(1, DATA, new Uint8Array()), /a frame of type 3/],
    ['a frame of an unknown type', (raw) => raw.send(1, 77, new Uint8Array()), /a frame of type 77/],
    ['an answer on an even stream', (raw) => raw.send(2, RESPONSE, new Uint8Array()), /on stream 2/],
    ['an answer without a request', (raw) => raw.send(3, RESPONSE, new Uint8Array()), /on stream 3/],
    [
      'bytes that are no answer',
      (raw) => raw.send(1, RESPONSE, Buffer.from('ffffff', 'hex')),
      /cannot be decoded/,
    ],
    [
      'an answer whose payload is of another type',
      (raw) =>
        raw.send(1, RESPONSE, ttrpc.Response.encode({ payload: Buffer.from('ffffff', 'hex') }).finish()),
      /the answer to Any cannot be decoded/,
    ],
    [
      'a message that is too long',
      (raw) => raw.send(1, RESPONSE, new Uint8Array(), 0, MAX_MESSAGE_BYTES + 1),
      /a message of 4194305 bytes/,
    ],
  ])('closes the connection at %s', (_what, send, message) =>
    withSocketPair(async ({ one, other }) => {
      const mux = new Mux(one);
      const client = new TtrpcClient(mux, 1);
      mux.start();
      const raw = new Raw(new Mux(other));
      const failed = rejectionOf(call(client, 'Any', ''));
      await until(() => raw.frames.length === 1);
      send(raw);
      expect(await failed).toMatch(message);
      expect(await failed).toMatch(/^INTERNAL the other end broke the protocol/);
      expect((await mux.closed).message).toMatch(message);
    }),
  );
});

describe('A ttrpc server', () => {
  /** Returns the answers to raw frames. */
  async function answersTo(
    count: number,
    send: (raw: Raw) => void,
    methods: Record<string, ServedMethod> = { Echo: echo(({ key }) => Promise.resolve({ key })) },
  ): Promise<string[]> {
    const answers: string[] = [];
    await withSocketPair(async ({ one, other }) => {
      const mux = new Mux(one);
      new TtrpcServer(mux, 1, 'test.Service', new Map(Object.entries(methods)));
      mux.start();
      const raw = new Raw(new Mux(other));
      send(raw);
      await until(() => raw.frames.length === count, `${count} answers`);
      for (const { stream, type, message } of raw.frames) {
        const { status } = ttrpc.Response.decode(message);
        answers.push(`${type} ${stream} ${status?.code ?? 0} ${status?.message ?? ''}`.trim());
      }
    });
    return answers;
  }

  it.each<[string, number, number, number, string]>([
    ['data', 1, DATA, 0, '2 1 3 a frame of type 3 is not a request'],
    ['an unknown type', 1, 9, 0, '2 1 3 a frame of type 9 is not a request'],
    ['an answer', 1, RESPONSE, 0, '2 1 3 a frame of type 2 is not a request'],
    ['a request that streams', 1, REQUEST, 2, '2 1 12 no method of this server streams'],
    ['an even stream', 2, REQUEST, 0, '2 2 3 stream 2 is not odd'],
  ])('refuses %s and goes on', async (_what, stream, type, flags, answer) => {
    const answers = await answersTo(2, (raw) => {
      raw.send(stream, type, request('Echo'), flags);
      raw.send(3, REQUEST, request('Echo'));
    });
    expect(answers.sort()).toEqual([answer, '2 3 0'].sort());
  });

  it('refuses a stream that was used before', async () => {
    const answers = await answersTo(2, (raw) => {
      raw.send(5, REQUEST, request('Echo'));
      raw.send(5, REQUEST, request('Echo'));
    });
    expect(answers).toContain('2 5 3 stream 5 is not above 5');
  });

  it('refuses requests that cannot be decoded', async () => {
    const bad = ttrpc.Request.encode({
      service: 'test.Service',
      method: 'Echo',
      payload: Buffer.from('ffffff', 'hex'),
    }).finish();
    const answers = await answersTo(2, (raw) => {
      raw.send(1, REQUEST, Buffer.from('ffffff', 'hex'));
      raw.send(3, REQUEST, bad);
    });
    expect(answers).toEqual([
      expect.stringMatching(/^2 1 3 the request cannot be decoded/),
      expect.stringMatching(/^2 3 3 the request cannot be decoded/),
    ]);
  });

  it('answers at the deadline of the client, and tells the method', async () => {
    let reason = '';
    const answers = await answersTo(1, (raw) => raw.send(1, REQUEST, request('Hang', 20)), {
      Hang: echo((_request, signal) => {
        signal.addEventListener('abort', () => (reason = (signal.reason as Error).message));
        return new Promise(() => undefined);
      }),
    });
    expect(answers).toEqual(['2 1 4 Hang took longer than 20 ms']);
    expect(reason).toBe('Hang took longer than 20 ms');
  });

  it('runs 16 requests at a time and refuses more', async () => {
    let running = 0;
    const answers = await answersTo(
      1,
      (raw) => {
        for (let stream = 1; stream <= 33; stream += 2) raw.send(stream, REQUEST, request('Hang'));
      },
      {
        Hang: echo(() => {
          running++;
          return new Promise(() => undefined);
        }),
      },
    );
    expect([running, answers]).toEqual([16, ['2 33 8 16 requests are running']]);
  });

  it('answers with an error when the answer is too large', async () => {
    const answers = await answersTo(1, (raw) => raw.send(1, REQUEST, request('Large')), {
      Large: echo(() => Promise.resolve({ key: 'x'.repeat(MAX_PAYLOAD_BYTES) })),
    });
    expect(answers[0]).toMatch(/^2 1 8 the message has \d+ bytes/);
  });
});
