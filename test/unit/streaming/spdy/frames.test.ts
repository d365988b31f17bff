import { createDeflate, constants } from 'node:zlib';
import { once } from 'node:events';
import { HeaderDecoder, HeaderEncoder, SPDY_DICTIONARY } from '../../../../src/streaming/spdy/headers';
import {
  controlFrame,
  dataHeader,
  FrameParser,
  FrameType,
  SpdyError,
  words,
  type Frame,
} from '../../../../src/streaming/spdy/frames';
import { createHash } from 'node:crypto';

function parse(bytes: Buffer, step = bytes.length): Frame[] {
  const parser = new FrameParser();
  const frames: Frame[] = [];
  for (let at = 0; at < bytes.length; at += step) frames.push(...parser.parse(bytes.subarray(at, at + step)));
  return frames;
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

describe('frames', () => {
  it('have the bytes that the SPDY/3.1 draft specifies', () => {
    expect(controlFrame(FrameType.PING, 0, words(7))).toEqual(hex('80030006 00000004 00000007'));
    expect(controlFrame(FrameType.RST_STREAM, 0, words(3, 5))).toEqual(
      hex('80030003 00000008 00000003 00000005'),
    );
    expect(controlFrame(FrameType.SYN_REPLY, 1, words(1))).toEqual(hex('80030002 01000004 00000001'));
    expect(dataHeader(5, true, 0x010203)).toEqual(hex('00000005 01010203'));
  });

  it.each([1, 2, 3, 7, 8, 9, 1000])('are found in pieces of %d bytes', (step) => {
    const bytes = Buffer.concat([
      controlFrame(FrameType.PING, 0, words(1)),
      dataHeader(1, false, 5),
      Buffer.from('hello'),
      controlFrame(FrameType.GOAWAY, 0, words(0, 0)),
      dataHeader(1, true, 0),
      dataHeader(3, true, 2),
      Buffer.from('ok'),
    ]);
    const frames = parse(bytes, step);
    const data = (id: number): string =>
      frames
        .map((frame) => (frame.kind === 'data' && frame.streamId === id ? frame.payload.toString() : ''))
        .join('');
    expect(data(1)).toBe('hello');
    expect(data(3)).toBe('ok');
    expect(frames.filter((frame) => frame.kind === 'data' && frame.fin)).toHaveLength(2);
    expect(frames.flatMap((frame) => (frame.kind === 'control' ? [frame.type] : []))).toEqual([
      FrameType.PING,
      FrameType.GOAWAY,
    ]);
  });

  it.each([
    ['another version', '80020006 00000004 00000001'],
    ['an unknown type', '8003000a 00000004 00000001'],
    ['a PING of 5 bytes', '80030006 00000005 0000000100'],
    ['an empty GOAWAY', '80030007 00000000'],
    ['a SYN_STREAM without headers', '80030001 0000000a 00000001000000000000'],
    ['a control frame of 16 MiB', '80030001 00ffffff'],
    ['SETTINGS that are not pairs', '80030004 00000005 0000000000'],
  ])('are refused for %s', (_, bytes) => {
    expect(() => parse(hex(bytes))).toThrow(SpdyError);
  });
});

describe('the dictionary', () => {
  it('is that of SPDY/3, byte for byte', () => {
    expect(SPDY_DICTIONARY.length).toBe(1423);
    expect(createHash('sha256').update(SPDY_DICTIONARY).digest('hex')).toBe(
      '51d27341373f923f3cd88e1eb7162aeaa3723d7585ff2399201dc06498407f02',
    );
  });
});

describe('header blocks', () => {
  const headers = (count: number): Map<string, string> =>
    new Map(Array.from({ length: count }, (_, index) => [`name-${index}`, `värue ${index}`]));

  it('can be encoded and decoded one after the other in one zlib stream', async () => {
    const encoder = new HeaderEncoder();
    const decoder = new HeaderDecoder();
    for (const count of [0, 1, 3, 99]) {
      expect(await decoder.decode(encoder.encode(headers(count)))).toEqual(headers(count));
    }
    decoder.close();
  });

  it('begin with a header that names the dictionary, and end so that an inflater returns all data', () => {
    const block = new HeaderEncoder().encode(new Map());
    expect(block).toEqual(hex('7820 e3c6a7c2 00 0400 fbff 00000000 000000ffff'));
  });

  it('are read from a real compressor, with lower-case names', async () => {
    const decoder = new HeaderDecoder();
    expect(await decoder.decode(await deflated([['Streamtype', 'error']]))).toEqual(
      new Map([['streamtype', 'error']]),
    );
    decoder.close();
  });

  it.each<[string, () => Promise<Buffer>]>([
    ['a bomb', () => deflated([['x', 'y'.repeat(10_000_000)]])],
    ['data that is not zlib', () => Promise.resolve(Buffer.from('this is not compressed at all'))],
    [
      'the same name twice',
      () =>
        deflated([
          ['a', '1'],
          ['A', '2'],
        ]),
    ],
    ['an empty name', () => deflated([['', '1']])],
    ['200 headers', () => deflated(Array.from({ length: 200 }, (_, index) => [`h${index}`, '']))],
    ['a length beyond the block', () => rawDeflated(hex('00000001 ffffffff 61'))],
    ['bytes after the headers', () => rawDeflated(hex('00000000 00'))],
  ])('are refused for %s', async (_, block) => {
    const decoder = new HeaderDecoder();
    await expect(decoder.decode(await block())).rejects.toThrow(SpdyError);
    decoder.close();
  });
});

async function deflated(pairs: [string, string][]): Promise<Buffer> {
  const parts = pairs.flatMap(([name, value]) => [
    words(Buffer.byteLength(name)),
    Buffer.from(name),
    words(Buffer.byteLength(value)),
    Buffer.from(value),
  ]);
  return rawDeflated(Buffer.concat([words(pairs.length), ...parts]));
}

async function rawDeflated(bytes: Buffer): Promise<Buffer> {
  const deflate = createDeflate({ dictionary: SPDY_DICTIONARY });
  const chunks: Buffer[] = [];
  deflate.on('data', (chunk: Buffer) => chunks.push(chunk));
  deflate.end(bytes);
  deflate.flush(constants.Z_SYNC_FLUSH);
  await once(deflate, 'end');
  return Buffer.concat(chunks);
}
