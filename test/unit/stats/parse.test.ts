import { limit, number } from '../../../src/node/cgroup-values';
import { blkio, ioStat, keyed, keyedLong, long, pressure } from '../../../src/stats/cgroup/parse';

describe('keyed', () => {
  const TEXT = 'cache 1\ntotal_cache 22\ncache_more 3\nlast 4';

  it.each([
    ['cache', 1],
    ['total_cache', 22],
    ['cache_more', 3],
    ['last', 4],
  ])('finds %s as a whole word', (key, value) => expect(keyed(TEXT, key)).toBe(value));

  it('finds nothing for a missing key', () => {
    expect(keyed(TEXT, 'ache')).toBeUndefined();
    expect(keyed(TEXT, 'total')).toBeUndefined();
    expect(keyed('', 'cache')).toBeUndefined();
  });

  it('keeps all digits of counters beyond 2^53', () => {
    expect(keyedLong('usage 18446744073709551615\n', 'usage')?.toString()).toBe('18446744073709551615');
    expect(long('9007199254740993\n')?.toString()).toBe('9007199254740993');
  });
});

describe('limit', () => {
  it.each([
    ['max\n', undefined],
    ['9223372036854771712\n', undefined],
    [undefined, undefined],
    ['', undefined],
    ['-1\n', undefined],
    ['0\n', 0],
    ['67108864\n', 67_108_864],
  ])('of %j is %j', (text, value) => expect(limit(text)).toBe(value));
});

it('number is undefined for a text that is not a plain number', () =>
  expect(number('12 34')).toBeUndefined());

describe('pressure', () => {
  it('accepts the lack of the full line in cpu.pressure of old kernels', () => {
    const read = pressure('some avg10=1.50 avg60=0.25 avg300=0.00 total=7\n');
    expect(read?.some).toMatchObject({ avg10: 1.5, avg60: 0.25, avg300: 0 });
    expect(read?.some?.totalNanos.toNumber()).toBe(7_000);
    expect(read?.full).toBeUndefined();
  });

  it('is undefined for an empty file', () => expect(pressure('')).toBeUndefined());
});

describe('ioStat', () => {
  it('skips devices without numbers and lines without devices', () => {
    expect(ioStat('8:0 \n\n7:0\n')).toEqual([]);
  });
});

describe('blkio', () => {
  it('joins bytes and operations, and omits totals', () => {
    const bytes = '8:0 Read 4096\n8:0 Write 0\n8:0 Sync 4096\n8:0 Total 4096\n253:1 Write 10\nTotal 4106\n';
    const operations = '8:0 Read 2\n8:0 Write 0\nTotal 2\n';
    expect(blkio(bytes, operations)).toEqual([
      { major: '8', minor: '0', readBytes: 4096, writeBytes: 0, reads: 2, writes: 0 },
      { major: '253', minor: '1', readBytes: 0, writeBytes: 10, reads: 0, writes: 0 },
    ]);
  });
});
