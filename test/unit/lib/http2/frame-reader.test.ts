import { FrameReader } from '../../../../src/lib/http2/frame-reader';
import { frame, PREFACE } from '../../../../src/lib/http2/frames';
import { encodeLiterals, HeaderDecoder } from '../../../../src/lib/http2/header-fields';

const wire = [
  frame(0, 0, 1, Buffer.from('first')),
  frame(4, 1, 0, Buffer.alloc(0)),
  frame(0, 1, 3, Buffer.alloc(300, 'x')),
];

it.each([1, 2, 5, 9, 10, 13, 1_000])(
  'FrameReader reads frames in pieces of %i bytes, after the preface',
  (size) => {
    const found: string[] = [];
    const reader = new FrameReader(PREFACE, ({ type, flags, streamId, length }, bytes) => {
      expect(bytes).toHaveLength(length + 9);
      found.push(frame(type, flags, streamId, bytes.subarray(9)).toString('hex'));
    });
    const all = Buffer.concat([PREFACE, ...wire]);
    for (let at = 0; at < all.length; at += size) {
      const chunk = Buffer.from(all.subarray(at, at + size));
      reader.feed(chunk);
      // The reader must keep a copy, because the chunk is overwritten.
      chunk.fill(0);
    }
    expect(found).toEqual(wire.map((one) => one.toString('hex')));
  },
);

it.each([1, 7, 100])('FrameReader refuses another preface as not HTTP/2, in pieces of %i bytes', (size) => {
  const reader = new FrameReader(PREFACE, () => undefined);
  const all = Buffer.from('PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n');
  expect(() => {
    for (let at = 0; at < all.length; at += size) reader.feed(all.subarray(at, at + size));
  }).toThrow('not an HTTP/2 client');
});

it('a header table may be as large as the largest size that its reader has announced, within a limit', () => {
  const decoder = new HeaderDecoder();
  const resized = (bytes: number): Buffer => {
    // RFC 7541 §6.3: an integer with a prefix of five bits.
    const out = [0x3f];
    let rest = bytes - 31;
    for (; rest >= 128; rest >>>= 7) out.push((rest & 127) | 128);
    return Buffer.from([...out, rest]);
  };
  expect(() => new HeaderDecoder().decode(resized(4_097))).toThrow('undecodable');
  decoder.allowTable(8_192);
  decoder.allowTable(0);
  expect(decoder.decode(resized(8_192))).toEqual([]);
  const huge = new HeaderDecoder();
  huge.allowTable(2 ** 32 - 1);
  expect(() => huge.decode(resized(2 ** 21))).toThrow('undecodable');
});

it('a decoder accepts header fields only up to its limit', () => {
  const fields = encodeLiterals([{ name: 'a', value: 'x'.repeat(300_000) }]);
  expect(() => new HeaderDecoder().decode(fields)).toThrow('undecodable');
  expect(new HeaderDecoder(1_000_000).decode(fields)).toHaveLength(1);
});
