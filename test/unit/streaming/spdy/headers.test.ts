import { deflateSync } from 'node:zlib';
import { words } from '../../../../src/streaming/spdy/frames';
import {
  HeaderDecoder,
  HeaderEncoder,
  SPDY_DICTIONARY,
  type Headers,
} from '../../../../src/streaming/spdy/headers';

describe('header blocks', () => {
  const headers = (count: number): Headers =>
    new Map(Array.from({ length: count }, (_, index) => [`n${index}`, '']));
  const roundTrip = (all: Headers): Promise<Headers> => {
    const decoder = new HeaderDecoder();
    return decoder.decode(new HeaderEncoder().encode(all)).finally(() => decoder.close());
  };

  it('contain at most a hundred headers', async () => {
    expect((await roundTrip(headers(100))).size).toBe(100);
    await expect(roundTrip(headers(101))).rejects.toThrow('101 headers are too many');
  });

  it('are at most as long as a stored block can be', async () => {
    // 4 bytes for the count, 4 for each length and one for the name.
    const longest = 0xffff - 4 - 4 - 1 - 4;
    const all = new Map([['n', 'x'.repeat(longest)]]);
    expect(await roundTrip(all)).toEqual(all);
    const encoder = new HeaderEncoder();
    expect(() => encoder.encode(new Map([['n', 'x'.repeat(longest + 1)]]))).toThrow('too long');
  });

  it('may be inflated to at most 64 KiB', async () => {
    const inflated = async (length: number): Promise<number> => {
      const decoder = new HeaderDecoder();
      const value = Buffer.alloc(length - 4 - 4 - 1 - 4, 'x');
      const block = Buffer.concat([words(1, 1), Buffer.from('n'), words(value.length), value]);
      const deflate = deflateSync(block, { dictionary: SPDY_DICTIONARY });
      return decoder
        .decode(deflate)
        .then((all) => all.get('n')?.length ?? 0)
        .finally(() => decoder.close());
    };
    expect(await inflated(64 * 1024)).toBe(64 * 1024 - 13);
    await expect(inflated(64 * 1024 + 1)).rejects.toThrow('cannot be inflated or is too long');
  });

  it.each([
    ['nothing', ''],
    ['half of the count', '0000'],
    ['a count without headers', '00000001'],
    ['half of a length', '00000001 000000'],
    ['a name without a value', '00000001 00000001 61'],
  ])('are refused when they contain %s', async (_, hex) => {
    const decoder = new HeaderDecoder();
    const block = deflateSync(Buffer.from(hex.replaceAll(' ', ''), 'hex'), { dictionary: SPDY_DICTIONARY });
    await expect(decoder.decode(block)).rejects.toThrow('a header block is cut off');
    decoder.close();
  });

  it('cannot be read by a closed decoder', async () => {
    const decoder = new HeaderDecoder();
    const encoder = new HeaderEncoder();
    await decoder.decode(encoder.encode(headers(1)));
    decoder.close();
    await expect(decoder.decode(encoder.encode(headers(1)))).rejects.toThrow();
  });
});
