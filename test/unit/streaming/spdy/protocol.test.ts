import { Duplex } from 'node:stream';
import { SpdyConnection, type SpdyOptions } from '../../../../src/streaming/spdy/connection';
import {
  controlFrame,
  dataHeader,
  FLAG_FIN,
  FrameParser,
  FrameType,
  words,
  type ControlType,
} from '../../../../src/streaming/spdy/frames';
import { HeaderDecoder, HeaderEncoder, type Headers } from '../../../../src/streaming/spdy/headers';
import type { SpdyStream } from '../../../../src/streaming/spdy/stream';
import { waitingCost } from '../../../../src/streaming/waiting-cost';
import { settle, until } from '../../support/async';

const NAMES = Object.fromEntries(Object.entries(FrameType).map(([name, type]) => [type, name]));

/**
 * A transport in memory. `push` sends the peer's data, and `said` returns what the peer has received since the
 * last call.
 */
class MemoryTransport extends Duplex {
  readonly frames: string[] = [];
  readonly headers: Promise<Headers>[] = [];
  private last: Promise<Headers> = Promise.resolve(new Map());
  private readonly parser = new FrameParser();
  private readonly decoder = new HeaderDecoder();

  override _read(): void {
    // The test pushes the data.
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: () => void): void {
    for (const frame of this.parser.parse(chunk)) {
      if (frame.kind === 'data') {
        this.frames.push(`data ${frame.streamId} ${frame.payload.toString()}${frame.fin ? ' fin' : ''}`);
        continue;
      }
      const { type, flags, payload } = frame;
      const hasHeaders = type === FrameType.SYN_STREAM || type === FrameType.SYN_REPLY;
      if (hasHeaders) {
        const block = payload.subarray(type === FrameType.SYN_STREAM ? 10 : 4);
        // All blocks are one zlib stream, so they are decoded one after the other.
        this.last = this.last.then(() => this.decoder.decode(block));
        this.headers.push(this.last);
      }
      const numbers = hasHeaders ? [payload.readUInt32BE(0)] : numbersOf(payload);
      this.frames.push([NAMES[type], ...numbers, ...(flags === 0 ? [] : [`flags ${flags}`])].join(' '));
    }
    done();
  }

  said(): string[] {
    return this.frames.splice(0);
  }
}

function numbersOf(payload: Buffer): number[] {
  return Array.from({ length: payload.length / 4 }, (_, at) => payload.readUInt32BE(4 * at));
}

describe('a SPDY connection', () => {
  let transport: MemoryTransport;
  let connection: SpdyConnection;
  let streams: SpdyStream[];
  let done: Promise<void>;
  let encoder: HeaderEncoder;

  function begin(more: Partial<SpdyOptions> = {}): void {
    transport = new MemoryTransport();
    streams = [];
    encoder = new HeaderEncoder();
    connection = new SpdyConnection(transport, {
      role: 'server',
      onStream: (stream) => streams.push(stream),
      ...more,
    });
    done = connection.run();
  }
  beforeEach(() => begin());
  afterEach(async () => {
    transport.destroy();
    await done;
  });

  const control = (type: ControlType, payload: Buffer, flags = 0): boolean =>
    transport.push(controlFrame(type, flags, payload));
  const open = (id: number, flags = 0, headers: Headers = new Map()): boolean =>
    control(
      FrameType.SYN_STREAM,
      Buffer.concat([words(id, 0), Buffer.alloc(2), encoder.encode(headers)]),
      flags,
    );
  const data = (id: number, said: string, fin = false): boolean =>
    transport.push(Buffer.concat([dataHeader(id, fin, said.length), Buffer.from(said)]));

  async function textOf(stream: SpdyStream | undefined): Promise<string> {
    let said = '';
    stream!.on('data', (piece: Buffer) => (said += piece.toString()));
    await until(() => stream!.readableEnded, 'the end of a stream');
    return said;
  }

  it('answers each stream at once, with its number and no headers', async () => {
    open(1, 0, new Map([['streamtype', 'error']]));
    open(5, 0, new Map([['streamtype', 'data']]));
    await until(() => streams.length === 2, 'both streams');
    expect(transport.said()).toEqual(['SYN_REPLY 1', 'SYN_REPLY 5']);
    expect(await Promise.all(transport.headers)).toEqual([new Map(), new Map()]);
    expect(streams.map(({ id, headers }) => [id, headers.get('streamtype')])).toEqual([
      [1, 'error'],
      [5, 'data'],
    ]);
  });

  it.each<[string, (id: number) => void]>([
    ['in the frame that opens it', () => undefined],
    ['with data', () => undefined],
    [
      'with headers',
      (id) => control(FrameType.HEADERS, Buffer.concat([words(id), encoder.encode(new Map())]), FLAG_FIN),
    ],
    [
      'with a reply',
      (id) => control(FrameType.SYN_REPLY, Buffer.concat([words(id), encoder.encode(new Map())]), FLAG_FIN),
    ],
  ])('sees the end of a stream %s', async (how, end) => {
    open(1, how.startsWith('in the frame') ? FLAG_FIN : 0);
    if (how === 'with data') data(1, 'said', true);
    else if (!how.startsWith('in the frame')) data(1, 'said');
    end(1);
    await until(() => streams.length === 1, 'the stream');
    expect(await textOf(streams[0])).toBe(how.startsWith('in the frame') ? '' : 'said');
    expect(streams[0]?.writableEnded).toBe(false);
  });

  it('does not treat headers without the end flag as the end, and still reads them', async () => {
    open(1);
    control(FrameType.HEADERS, Buffer.concat([words(1), encoder.encode(new Map([['more', '1']]))]));
    data(1, 'said');
    // The blocks are one zlib stream, so this one cannot be read without the one before it.
    open(3, 0, new Map([['streamtype', 'data']]));
    await until(() => streams.length === 2, 'both streams');
    expect(streams[1]?.headers.get('streamtype')).toBe('data');
    expect(streams[0]?.readableEnded).toBe(false);
  });

  it('ignores frames of unknown streams', async () => {
    data(9, 'to nobody');
    control(FrameType.RST_STREAM, words(9, 5));
    control(FrameType.HEADERS, Buffer.concat([words(9), encoder.encode(new Map())]), FLAG_FIN);
    control(FrameType.SETTINGS, words(0));
    control(FrameType.WINDOW_UPDATE, words(9, 100));
    control(FrameType.GOAWAY, words(0, 0));
    open(1);
    await until(() => streams.length === 1, 'the stream');
    expect(transport.said()).toEqual(['SYN_REPLY 1']);
  });

  it('closes a stream that its peer resets, without an answer, and reports the reason', async () => {
    open(1);
    open(3);
    await until(() => streams.length === 2, 'both streams');
    transport.said();
    control(FrameType.RST_STREAM, words(0x80000001, 5));
    await until(() => streams[0]!.destroyed, 'the reset');
    expect(streams[0]?.errored?.message).toBe('the peer has reset the stream');
    expect([streams[1]?.destroyed, transport.said()]).toEqual([false, []]);
  });

  it.each([
    ['server', [1, 3], [2, 0]],
    ['client', [2, 4], [1, 0]],
  ] as const)('echoes, as a %s, only the pings of its peer', async (role, echoed, others) => {
    transport.destroy();
    begin({ role });
    for (const id of [...echoed, ...others]) control(FrameType.PING, words(id));
    await settle();
    expect(transport.said()).toEqual(echoed.map((id) => `PING ${id}`));
  });

  it.each([
    ['opens an older stream', () => open(1)],
    ['opens the same stream again', () => open(3)],
    ["opens one of the server's streams", () => open(4)],
    [
      'sends invalid headers',
      () => control(FrameType.HEADERS, Buffer.concat([words(3), Buffer.from('nonsense')])),
    ],
    ['does not speak SPDY', () => transport.push(Buffer.alloc(8, 0xff))],
  ])('sends GOAWAY with the last served stream to a peer that %s', async (_, offend) => {
    open(3);
    await until(() => streams.length === 1, 'the stream');
    transport.said();
    offend();
    await done;
    expect(transport.said()).toEqual(['GOAWAY 3 1']);
    expect([transport.destroyed, streams[0]?.destroyed]).toEqual([true, true]);
    expect(streams[0]?.errored?.message).toBe('the connection is closed');
  });

  it('sends GOAWAY once when it is closed, refuses streams, and drops later data', async () => {
    open(1);
    await until(() => streams.length === 1, 'the stream');
    data(1, 'unread');
    transport.said();
    connection.close();
    connection.close();
    await settle();
    expect(transport.said()).toEqual(['GOAWAY 1 0']);
    expect([transport.writableEnded, transport.destroyed]).toEqual([true, false]);
    open(3);
    transport.push(null);
    await done;
    expect([streams.length, streams[0]?.destroyed]).toEqual([1, true]);
  });

  it('opens streams with numbers of its own, and sends their headers and data in order', async () => {
    transport.destroy();
    begin({ role: 'client' });
    const [first, second] = [
      connection.open(new Map([['streamtype', 'error']])),
      connection.open(new Map([['streamtype', 'data']])),
    ];
    second.end('said');
    await settle();
    expect(transport.said()).toEqual(['SYN_STREAM 1', 'SYN_STREAM 3', 'data 3 said', 'data 3  fin']);
    expect(await Promise.all(transport.headers)).toEqual([first.headers, second.headers]);
    transport.destroy();
    begin();
    connection.open(new Map());
    connection.open(new Map());
    await settle();
    expect(transport.said()).toEqual(['SYN_STREAM 2', 'SYN_STREAM 4']);
  });

  it('receives answers on its own streams', async () => {
    transport.destroy();
    begin({ role: 'client' });
    const stream = connection.open(new Map());
    control(FrameType.SYN_REPLY, Buffer.concat([words(1), encoder.encode(new Map())]));
    data(1, 'answer', true);
    expect(await textOf(stream)).toBe('answer');
    expect(streams).toEqual([]);
  });

  it('resets a stream that is destroyed, and grants the bytes that are read of another', async () => {
    open(1);
    open(3);
    await until(() => streams.length === 2, 'both streams');
    transport.said();
    streams[0]!.destroy();
    streams[1]!.resume();
    data(3, 'x'.repeat(40_000));
    await until(() => transport.frames.length === 2, 'the grant');
    expect(transport.said()).toEqual(['RST_STREAM 1 5', 'WINDOW_UPDATE 3 40000']);
    // The stream is forgotten, although the peer may not know that yet.
    data(1, 'late');
    data(3, '', true);
    expect(await textOf(streams[1])).toBe('');
  });

  it('fails writes after the connection has ended', async () => {
    open(1);
    await until(() => streams.length === 1, 'the stream');
    const [stream] = streams;
    const failed = jest.fn();
    transport.end();
    await settle();
    stream!.write('too late', failed);
    await settle();
    expect(failed).toHaveBeenCalledWith(expect.objectContaining({ message: 'the connection is closed' }));
  });

  it('pauses its peer only when the waiting data takes more than the limit of 1 MiB', async () => {
    open(1);
    await until(() => streams.length === 1, 'the stream');
    transport.said();
    const most = 1024 * 1024 - waitingCost(Buffer.alloc(1)) + 1;
    transport.push(Buffer.concat([dataHeader(1, false, most), Buffer.alloc(most)]));
    control(FrameType.PING, words(1));
    await until(() => transport.frames.length === 1, 'the echo');
    expect([transport.said(), streams[0]?.untaken]).toEqual([['PING 1'], 1024 * 1024]);
    data(1, 'x');
    control(FrameType.PING, words(3));
    await settle();
    expect(transport.said()).toEqual([]);
    streams[0]!.resume();
    await until(() => transport.frames.includes('PING 3'), 'the next echo');
  });

  it('ends when its transport fails, without an error of its own', async () => {
    open(1);
    await until(() => streams.length === 1, 'the stream');
    transport.destroy(new Error('ECONNRESET'));
    await done;
    expect(streams[0]?.destroyed).toBe(true);
  });

  it('closes its streams and the transport when the peer ends', async () => {
    open(1);
    await until(() => streams.length === 1, 'the stream');
    transport.push(null);
    await done;
    expect([transport.destroyed, streams[0]?.destroyed]).toEqual([true, true]);
  });
});

describe('frames', () => {
  it('keep their type, flags and payload', () => {
    const parsed = [
      ...new FrameParser().parse(
        Buffer.concat([
          controlFrame(FrameType.SYN_STREAM, 3, Buffer.from('0123456789a')),
          controlFrame(FrameType.WINDOW_UPDATE, 0, words(0x7fffffff, 0xffffffff)),
          controlFrame(FrameType.SETTINGS, 1, words(1, 2, 3)),
          dataHeader(0x7fffffff, true, 0),
          dataHeader(2, false, 2),
          Buffer.from('ok'),
        ]),
      ),
    ];
    expect(parsed).toEqual([
      { kind: 'control', type: FrameType.SYN_STREAM, flags: 3, payload: Buffer.from('0123456789a') },
      { kind: 'control', type: FrameType.WINDOW_UPDATE, flags: 0, payload: words(0x7fffffff, 0xffffffff) },
      { kind: 'control', type: FrameType.SETTINGS, flags: 1, payload: words(1, 2, 3) },
      { kind: 'data', streamId: 0x7fffffff, payload: Buffer.alloc(0), fin: true },
      { kind: 'data', streamId: 2, payload: Buffer.from('ok'), fin: false },
    ]);
  });

  it('have the end flag only on the last piece of their data', () => {
    const parser = new FrameParser();
    const pieces = [dataHeader(1, true, 3), Buffer.from('a'), Buffer.from('bc'), dataHeader(1, false, 1)];
    const parsed = [...pieces, Buffer.from('d')].flatMap((piece) => [...parser.parse(piece)]);
    expect(parsed).toEqual([
      { kind: 'data', streamId: 1, payload: Buffer.from('a'), fin: false },
      { kind: 'data', streamId: 1, payload: Buffer.from('bc'), fin: true },
      { kind: 'data', streamId: 1, payload: Buffer.from('d'), fin: false },
    ]);
  });

  it.each<[ControlType, number[], number[]]>([
    [FrameType.SYN_STREAM, [11, 16 * 1024], [0, 10, 16 * 1024 + 1]],
    [FrameType.SYN_REPLY, [5, 16 * 1024], [0, 4, 16 * 1024 + 1]],
    [FrameType.HEADERS, [5, 16 * 1024], [0, 4, 16 * 1024 + 1]],
    [FrameType.SETTINGS, [4, 12, 20], [0, 3, 8, 16]],
    [FrameType.PING, [4], [0, 3, 5, 8]],
    [FrameType.RST_STREAM, [8], [0, 4, 7, 9]],
    [FrameType.GOAWAY, [8], [0, 4, 7, 9]],
    [FrameType.WINDOW_UPDATE, [8], [0, 4, 7, 9]],
  ])('of type %d have a length that fits their type', (type, good, bad) => {
    const parse = (length: number) => [
      ...new FrameParser().parse(controlFrame(type, 0, Buffer.alloc(length))),
    ];
    for (const length of good) expect(parse(length)).toHaveLength(1);
    for (const length of bad) expect(() => parse(length)).toThrow(/cannot be \d+ bytes long/);
  });
});
