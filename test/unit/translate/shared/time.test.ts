import { nanosFromEngineTime, nanosFromMillis, nanosFromNumber } from '../../../../src/translate/shared/time';

describe('nanosFromEngineTime', () => {
  it.each([
    { desc: 'never started', time: '0001-01-01T00:00:00Z', nanos: '0' },
    { desc: 'absent', time: '', nanos: '0' },
    { desc: 'the epoch', time: '1970-01-01T00:00:00Z', nanos: '0' },
    { desc: 'no fraction', time: '2023-11-14T22:13:20Z', nanos: '1700000000000000000' },
    ...Array.from('123456789').map((_, index, digits) => ({
      desc: `${index + 1} fractional digits`,
      time: `2023-11-14T22:13:20.${digits.slice(0, index + 1).join('')}Z`,
      nanos: `1700000000${digits
        .slice(0, index + 1)
        .join('')
        .padEnd(9, '0')}`,
    })),
    {
      desc: 'leading zeros in the fraction',
      time: '2023-11-14T22:13:20.000000001Z',
      nanos: '1700000000000000001',
    },
    { desc: 'all nines', time: '2023-11-14T22:13:20.999999999Z', nanos: '1700000000999999999' },
    {
      desc: 'east of Greenwich, with a fraction',
      time: '2023-11-15T00:13:20.5+02:00',
      nanos: '1700000000500000000',
    },
    {
      desc: 'west of Greenwich, with half an hour',
      time: '2023-11-14T18:43:20.000000007-03:30',
      nanos: '1700000000000000007',
    },
    { desc: 'long after 2^53 ns', time: '2261-12-31T23:59:59.123456789Z', nanos: '9214646399123456789' },
    { desc: 'not a time', time: 'yesterday', nanos: '0' },
    { desc: 'no time zone', time: '2023-11-14T22:13:20.5', nanos: '0' },
    { desc: 'ten digits', time: '2023-11-14T22:13:20.1234567891Z', nanos: '0' },
    { desc: 'month 13', time: '2023-13-14T22:13:20Z', nanos: '0' },
  ])('$desc: $time', ({ time, nanos }) => expect(nanosFromEngineTime(time).toString()).toBe(nanos));
});

describe('times as numbers', () => {
  it('in milliseconds are exact beyond 2^53 ns', () => {
    expect(nanosFromMillis(1_700_000_000_123).toString()).toBe('1700000000123000000');
    expect(nanosFromMillis(0).isZero()).toBe(true);
  });

  it("in an event's timeNano are at most 256 ns off after JSON.parse", () => {
    const { timeNano } = JSON.parse('{"timeNano":1700000000123456789}') as { timeNano: number };
    const nanos = nanosFromNumber(timeNano);
    expect(Math.abs(nanos.sub('1700000000123456789').toNumber())).toBeLessThanOrEqual(256);
  });
});
