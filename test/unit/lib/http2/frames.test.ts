import {
  Flag,
  frame,
  FrameType,
  HeaderBlock,
  headerFrames,
  MAX_FRAME_BYTES,
  ProtocolError,
  readFrameHeader,
} from '../../../../src/lib/http2/frames';
import { encodeLiterals, HeaderDecoder, type HeaderField } from '../../../../src/lib/http2/header-fields';

const field = (name: string, value: string): HeaderField => ({ name, value });
const METHOD = field(':method', 'POST');

/** All frames in these bytes: type, flags, stream and payload. */
function framesOf(bytes: Buffer): [type: number, flags: number, streamId: number, payload: Buffer][] {
  const all: [number, number, number, Buffer][] = [];
  for (let at = 0; at < bytes.length;) {
    const { length, type, flags, streamId } = readFrameHeader(bytes, at);
    all.push([type, flags, streamId, bytes.subarray(at + 9, at + 9 + length)]);
    at += 9 + length;
  }
  return all;
}

describe('a frame', () => {
  it('has its length, type, flags and stream where RFC 9113 puts them', () => {
    const bytes = frame(0x9, 0x2c, 0x01020304, Buffer.from('abc'));
    expect(bytes.toString('hex')).toBe('000003092c01020304616263');
    const shifted = Buffer.concat([Buffer.from('xx'), bytes]);
    expect(readFrameHeader(shifted, 2)).toEqual({ length: 3, type: 9, flags: 0x2c, streamId: 0x01020304 });
    // The first bit of a stream's number is reserved.
    shifted[2 + 5] = 0x81;
    expect(readFrameHeader(shifted, 2).streamId).toBe(0x01020304);
  });
});

describe('header frames', () => {
  it.each([
    ['nothing', 0, [[FrameType.HEADERS, Flag.END_HEADERS, 0]]],
    ['a single frame', MAX_FRAME_BYTES, [[FrameType.HEADERS, Flag.END_HEADERS, MAX_FRAME_BYTES]]],
    [
      'one byte more than a frame',
      MAX_FRAME_BYTES + 1,
      [
        [FrameType.HEADERS, 0, MAX_FRAME_BYTES],
        [FrameType.CONTINUATION, Flag.END_HEADERS, 1],
      ],
    ],
    [
      'three frames',
      2 * MAX_FRAME_BYTES + 5,
      [
        [FrameType.HEADERS, 0, MAX_FRAME_BYTES],
        [FrameType.CONTINUATION, 0, MAX_FRAME_BYTES],
        [FrameType.CONTINUATION, Flag.END_HEADERS, 5],
      ],
    ],
  ])('hold %s', (_, length, expected) => {
    const block = Buffer.from(Array.from({ length }, (_item, at) => at % 251));
    const open = framesOf(headerFrames(7, false, block));
    expect(open.map(([type, flags, id, payload]) => [type, flags, payload.length, id])).toEqual(
      expected.map((one) => [...one, 7]),
    );
    expect(Buffer.concat(open.map(([, , , payload]) => payload)).equals(block)).toBe(true);
    const ended = framesOf(headerFrames(7, true, block)).map(([, flags]) => flags);
    expect(ended).toEqual(expected.map(([, flags = 0], at) => flags | (at === 0 ? Flag.END_STREAM : 0)));
  });
});

describe('a header block', () => {
  const blockOf = (flags: number, payload: Buffer, streamId = 3): HeaderBlock => {
    const bytes = frame(FrameType.HEADERS, flags, streamId, payload);
    const block = new HeaderBlock(readFrameHeader(bytes, 0), bytes, 0);
    block.fill(bytes, 9);
    return block;
  };
  const go = (
    block: HeaderBlock,
    flags: number,
    payload: Buffer,
    streamId = 3,
    type: number = FrameType.CONTINUATION,
  ) => {
    const bytes = frame(type, flags, streamId, payload);
    block.open(readFrameHeader(bytes, 0), bytes, 0);
    block.fill(bytes, 9);
  };

  it.each([
    ['plain', 0, 'text', 'text'],
    ['padded', Flag.PADDED, '\x03textpad', 'text'],
    ['sent with priority', Flag.PRIORITY, '12345text', 'text'],
    ['sent with padding and priority', Flag.PADDED | Flag.PRIORITY, '\x0312345textpad', 'text'],
    ['only padding', Flag.PADDED, '\x03pad', ''],
  ])('is extracted when it is %s', (_, flags, payload, text) => {
    const block = blockOf(flags | Flag.END_HEADERS | Flag.END_STREAM, Buffer.from(payload));
    expect([block.complete, block.endStream, block.streamId, block.missing]).toEqual([true, true, 3, 0]);
    expect(block.fragment().toString()).toBe(text);
    expect(block.original().subarray(9).toString()).toBe(payload);
  });

  it.each([
    ['padding', Flag.PADDED, '\x04pad'],
    ['priority', Flag.PRIORITY, '1234'],
  ])('with more %s than its length is a protocol error', (_, flags, payload) => {
    expect(() => blockOf(flags | Flag.END_HEADERS, Buffer.from(payload))).toThrow(
      'padding exceeds its frame',
    );
  });

  it('continues in continuations, which have neither padding nor priority', () => {
    const block = blockOf(0, Buffer.from('one'));
    expect([block.complete, block.endStream]).toEqual([false, false]);
    go(block, Flag.PADDED | Flag.PRIORITY, Buffer.from('two'));
    expect(block.complete).toBe(false);
    go(block, Flag.END_HEADERS, Buffer.from('three'));
    expect([block.complete, block.fragment().toString()]).toEqual([true, 'onetwothree']);
    expect(framesOf(block.original()).map(([type, , , payload]) => [type, payload.toString()])).toEqual([
      [FrameType.HEADERS, 'one'],
      [FrameType.CONTINUATION, 'two'],
      [FrameType.CONTINUATION, 'three'],
    ]);
  });

  it('accepts no other frame in between, and no overlong block', () => {
    const text = Buffer.from('x');
    expect(() => go(blockOf(0, text), 0, text, 5)).toThrow('interrupted');
    expect(() => go(blockOf(0, text), 0, text, 3, FrameType.HEADERS)).toThrow('interrupted');
    expect(() => go(blockOf(0, text), 0, Buffer.alloc(MAX_FRAME_BYTES + 1))).toThrow(
      'oversized header frame',
    );
    const large = blockOf(0, Buffer.alloc(MAX_FRAME_BYTES));
    for (let count = 1; count < 15; count++) go(large, 0, Buffer.alloc(MAX_FRAME_BYTES));
    const rest = 256 * 1024 - 15 * (MAX_FRAME_BYTES + 9) - 9;
    expect(() => go(large, 0, Buffer.alloc(rest + 1))).toThrow('oversized header block');
    const full = blockOf(0, Buffer.alloc(MAX_FRAME_BYTES));
    for (let count = 1; count < 15; count++) go(full, 0, Buffer.alloc(MAX_FRAME_BYTES));
    go(full, Flag.END_HEADERS, Buffer.alloc(rest));
    expect(full.complete).toBe(true);
  });

  it('is filled in pieces, and accepts no more than its length', () => {
    const bytes = Buffer.concat([
      frame(FrameType.HEADERS, Flag.END_HEADERS, 3, Buffer.from('text')),
      Buffer.from('rest'),
    ]);
    const block = new HeaderBlock(readFrameHeader(bytes, 0), bytes, 0);
    expect([block.missing, block.complete]).toEqual([4, false]);
    expect(block.fill(bytes.subarray(0, 11), 9)).toBe(2);
    expect([block.missing, block.complete]).toEqual([2, false]);
    expect(block.fill(bytes, 11)).toBe(2);
    expect([block.missing, block.complete, block.fragment().toString()]).toEqual([0, true, 'text']);
  });
});

describe('header fields', () => {
  it.each([0, 1, 126, 127, 128, 254, 255, 256, 20_000])('of %d bytes are read back unchanged', (length) => {
    const fields = [field('a', 'x'.repeat(length)), field('b', 'é\x00ÿ'), field('c', '')];
    expect(new HeaderDecoder().decode(encodeLiterals(fields))).toEqual(fields);
  });

  it('may fill 256 KiB, where each field counts its length and another 32 bytes', () => {
    const empty = (count: number): Buffer =>
      encodeLiterals(Array.from({ length: count }, () => field('n', '')));
    const most = Math.floor((256 * 1024) / 33);
    expect(new HeaderDecoder().decode(empty(most))).toHaveLength(most);
    expect(() => new HeaderDecoder().decode(empty(most + 1))).toThrow(ProtocolError);
  });

  it('are decoded as RFC 7541 says, with and without an index', () => {
    const decoder = new HeaderDecoder();
    const decode = (hex: string): HeaderField[] =>
      decoder
        .decode(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
        // Entries of the static table have more properties.
        .map(({ name, value }) => ({ name, value }));
    // The fields are static, literal with indexing, never indexed, and not indexed under an indexed name.
    expect(decode('83 400161 0162 10 0163 0164 01 0165')).toEqual([
      METHOD,
      field('a', 'b'),
      field('c', 'd'),
      field(':authority', 'e'),
    ]);
    // Only the second field went into the table.
    expect(decode('be')).toEqual([field('a', 'b')]);
    // The table has been emptied.
    expect(decode('20')).toEqual([]);
    expect(() => decode('be')).toThrow(ProtocolError);
  });
});
