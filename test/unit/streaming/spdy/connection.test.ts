import { once } from 'node:events';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { SpdyConnection } from '../../../../src/streaming/spdy/connection';
import {
  controlFrame,
  dataHeader,
  FLAG_FIN,
  FrameParser,
  FrameType,
  words,
} from '../../../../src/streaming/spdy/frames';
import { HeaderEncoder } from '../../../../src/streaming/spdy/headers';
import type { SpdyStream } from '../../../../src/streaming/spdy/stream';
import { until } from '../../support/async';
import { socketPair } from '../support/sockets';

interface Ends {
  readonly client: SpdyConnection;
  readonly clientSocket: Socket;
  readonly serverSocket: Socket;
  /** The streams as the server gets them. */
  readonly accepted: SpdyStream[];
  readonly accept: (count: number) => Promise<SpdyStream>;
}

let sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  sockets = [];
});

async function ends(): Promise<Ends> {
  const { near, far } = await socketPair();
  sockets.push(near, far);
  const accepted: SpdyStream[] = [];
  const server = new SpdyConnection(far, { role: 'server', onStream: (stream) => accepted.push(stream) });
  const client = new SpdyConnection(near, { role: 'client', onStream: () => undefined });
  void server.run();
  void client.run();
  return {
    client,
    clientSocket: near,
    serverSocket: far,
    accepted,
    accept: async (count) => {
      await until(() => accepted.length >= count, `${count} streams`);
      return accepted[count - 1]!;
    },
  };
}

/** Reads all data. Unlike `for await`, this leaves the other direction open. */
async function buffer(stream: SpdyStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(stream, 'end');
  return Buffer.concat(chunks);
}

async function text(stream: SpdyStream): Promise<string> {
  return (await buffer(stream)).toString();
}

describe('SpdyConnection', () => {
  it('passes streams with half-closes in both directions', async () => {
    const { client, accept } = await ends();
    const near = client.open(new Map([['streamtype', 'data']]));
    const far = await accept(1);
    expect(far.headers.get('streamtype')).toBe('data');
    near.end('question');
    expect(await text(far)).toBe('question');
    far.end('answer');
    expect(await text(near)).toBe('answer');
    await until(() => far.destroyed && near.destroyed, 'both ends close');
  });

  it('passes megabytes on many streams at once', async () => {
    const { client, accepted, accept } = await ends();
    const sent = Array.from({ length: 20 }, (_, index) => Buffer.alloc(1_000_000, index));
    const streams = sent.map((bytes) => {
      const stream = client.open(new Map([['n', '']]));
      stream.end(bytes);
      return stream;
    });
    await accept(20);
    const got = await Promise.all(accepted.map((stream) => buffer(stream)));
    expect(got.every((bytes, index) => bytes.equals(sent[index]!))).toBe(true);
    for (const stream of accepted) stream.end('x');
    expect(await Promise.all(streams.map((stream) => text(stream)))).toEqual(streams.map(() => 'x'));
  });

  it('echoes the peer’s PINGs, and only those', async () => {
    const { near, far } = await socketPair();
    sockets.push(near, far);
    void new SpdyConnection(far, { role: 'server', onStream: () => undefined }).run();
    near.write(controlFrame(FrameType.PING, 0, words(2)));
    near.write(controlFrame(FrameType.PING, 0, words(5)));
    const [echo] = (await once(near, 'data')) as [Buffer];
    expect(echo).toEqual(controlFrame(FrameType.PING, 0, words(5)));
  });

  it('stops reading when nobody reads the data, and continues when somebody does', async () => {
    const { client, clientSocket, accept } = await ends();
    const near = client.open(new Map());
    const bytes = Buffer.alloc(64 * 1024 * 1024, 7);
    near.end(bytes);
    const far = await accept(1);
    await until(() => clientSocket.writableNeedDrain, 'the sender is held');
    const before = process.memoryUsage().arrayBuffers;
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1024 * 1024);
    expect((await buffer(far)).equals(bytes)).toBe(true);
  });

  it('counts the memory of many small frames, not only their bytes', async () => {
    const { near, far } = await socketPair();
    sockets.push(near, far);
    let accepted: SpdyStream | undefined;
    const server = new SpdyConnection(far, { role: 'server', onStream: (stream) => (accepted = stream) });
    void server.run();
    const parser = new FrameParser();
    const said: number[] = [];
    near.on('data', (chunk: Buffer) => {
      for (const frame of parser.parse(chunk)) if (frame.kind === 'control') said.push(frame.type);
    });
    const head = Buffer.concat([words(1, 0), Buffer.alloc(2), new HeaderEncoder().encode(new Map())]);
    near.write(controlFrame(FrameType.SYN_STREAM, 0, head));
    const frames = 100_000;
    const frame = Buffer.concat([dataHeader(1, false, 1), Buffer.from('x')]);
    near.write(Buffer.alloc(frames * frame.length, frame));
    near.write(controlFrame(FrameType.PING, 0, words(1)));
    near.write(dataHeader(1, true, 0));
    // While a connection is paused, it probes for its peer with SETTINGS. Without the pause, the echo of the
    // PING would come instead.
    await until(() => said.length >= 2, 'two frames of the server');
    expect(said.slice(0, 2)).toEqual([FrameType.SYN_REPLY, FrameType.SETTINGS]);
    expect(await text(accepted!)).toBe('x'.repeat(frames));
    await until(() => said.includes(FrameType.PING), 'the echo');
  });

  it('does not send faster than the peer reads', async () => {
    const { client, clientSocket, serverSocket, accept } = await ends();
    clientSocket.pause();
    const near = client.open(new Map());
    const far = await accept(1);
    clientSocket.pause();
    let accepted = 0;
    const chunk = Buffer.alloc(65_536);
    const produce = (): void => {
      while (far.write(chunk)) accepted++;
    };
    far.on('drain', produce);
    produce();
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(serverSocket.writableLength).toBeLessThan(256 * 1024);
    expect(accepted).toBeLessThan(1000);
    near.destroy();
  });

  it('continues with other streams when a peer sends data after the end of one', async () => {
    const { near, far } = await socketPair();
    sockets.push(near, far);
    const accepted: SpdyStream[] = [];
    const server = new SpdyConnection(far, { role: 'server', onStream: (stream) => accepted.push(stream) });
    void server.run();
    const encoder = new HeaderEncoder();
    const open = (id: number, flags: number): boolean =>
      near.write(
        controlFrame(
          FrameType.SYN_STREAM,
          flags,
          Buffer.concat([words(id, 0), Buffer.alloc(2), encoder.encode(new Map())]),
        ),
      );
    open(1, FLAG_FIN);
    // The data is more than may wait for readers.
    const data = Buffer.alloc(2 * 1024 * 1024);
    near.write(Buffer.concat([dataHeader(1, false, data.length), data]));
    open(3, 0);
    await until(() => accepted.length === 2, 'the second stream');
  });

  it('treats a reset as the end of one stream', async () => {
    const { client, accept } = await ends();
    const [first, second] = [client.open(new Map()), client.open(new Map())];
    await accept(2);
    const far = await accept(1);
    const closed = new Promise((resolve) => far.once('close', resolve));
    first.destroy();
    await closed;
    const other = await accept(2);
    second.end('alive');
    expect(await text(other)).toBe('alive');
  });

  it('ends all streams with the connection', async () => {
    const { client, clientSocket, accept } = await ends();
    const near = client.open(new Map());
    const far = await accept(1);
    const closed = Promise.all(
      [far, near].map((stream) => new Promise((resolve) => stream.once('close', resolve))),
    );
    clientSocket.destroy();
    await closed;
  });

  it('refuses more streams than it can hold, and keeps the others', async () => {
    const { client, accepted, accept } = await ends();
    const streams = Array.from({ length: 1001 }, () => client.open(new Map()));
    const refused = new Promise((resolve) => streams[1000]!.once('close', resolve));
    await accept(1000);
    await refused;
    expect(accepted).toHaveLength(1000);
    expect(streams[0]!.destroyed).toBe(false);
  });

  it.each([
    ['an even stream number', words(2, 0)],
    ['stream 0', words(0, 0)],
  ])('disconnects a peer that opens %s', async (_, ids) => {
    const { near, far } = await socketPair();
    sockets.push(near, far);
    const done = new SpdyConnection(far, { role: 'server', onStream: () => undefined }).run();
    const block = Buffer.from('7820e3c6a7c2000400fbff00000000000000ffff', 'hex');
    near.write(controlFrame(FrameType.SYN_STREAM, 0, Buffer.concat([ids, Buffer.alloc(2), block])));
    await done;
    expect(far.destroyed).toBe(true);
  });
});

/** A transport in memory. `push` sends the peer's data. */
class MemoryTransport extends Duplex {
  readonly types: number[] = [];
  private readonly parser = new FrameParser();

  override _read(): void {
    // The test pushes the data.
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: () => void): void {
    for (const frame of this.parser.parse(chunk)) if (frame.kind === 'control') this.types.push(frame.type);
    done();
  }
}

describe('a connection that is paused because nobody reads its data', () => {
  let transport: MemoryTransport;
  let streams: SpdyStream[];
  let stuck: SpdyStream[];
  let done: Promise<void>;

  beforeEach(async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    transport = new MemoryTransport();
    [streams, stuck] = [[], []];
    const connection = new SpdyConnection(transport, {
      role: 'server',
      onStream: (stream) => streams.push(stream),
      onStuck: (stream) => stuck.push(stream),
      stuckMs: 1_000,
    });
    done = connection.run();
    const encoder = new HeaderEncoder();
    for (const id of [1, 3]) {
      const head = Buffer.concat([words(id, 0), Buffer.alloc(2), encoder.encode(new Map())]);
      transport.push(controlFrame(FrameType.SYN_STREAM, 0, head));
    }
    const [few, many] = [Buffer.alloc(1_000), Buffer.alloc(1_100_000)];
    transport.push(Buffer.concat([dataHeader(1, false, few.length), few]));
    transport.push(Buffer.concat([dataHeader(3, false, many.length), many]));
    transport.push(controlFrame(FrameType.PING, 0, words(1)));
    await until(() => jest.getTimerCount() === 1, 'the hold');
    transport.types.length = 0;
  });
  afterEach(() => {
    transport.destroy();
    jest.useRealTimers();
  });

  it('probes for its peer four times a second, and reports after a while which stream blocks it', () => {
    jest.advanceTimersByTime(999);
    expect(transport.types).toEqual(Array(3).fill(FrameType.SETTINGS));
    expect(stuck).toEqual([]);
    jest.advanceTimersByTime(1);
    expect(stuck).toEqual([streams[1]]);
    jest.advanceTimersByTime(250);
    expect(stuck).toEqual([streams[1], streams[1]]);
  });

  it('continues without a probe once somebody reads the data', async () => {
    streams[1]!.resume();
    await until(() => transport.types.includes(FrameType.PING), 'the echo');
    expect(jest.getTimerCount()).toBe(0);
  });

  it('leaves no probe when the peer goes', async () => {
    transport.destroy();
    await done;
    expect(jest.getTimerCount()).toBe(0);
    expect(streams.map(({ destroyed }) => destroyed)).toEqual([true, true]);
  });
});
