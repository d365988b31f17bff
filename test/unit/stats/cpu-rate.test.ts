import Long from 'long';
import { CpuRate } from '../../../src/stats/cpu-rate';
import { ReadingClock } from '../../../src/stats/readings';

const SECOND = 1_000_000_000n;
const used = (millis: number): Long => Long.fromNumber(millis * 1e6, true);

describe('CpuRate', () => {
  it('needs two readings', () => {
    const rate = new CpuRate();
    expect(rate.next(0n, used(100))).toBeUndefined();
    expect(rate.next(SECOND, used(350))).toBe(250_000_000);
    expect(rate.next(3n * SECOND, used(4350))).toBe(2_000_000_000);
  });

  it('does not measure over a window that is too short', () => {
    const rate = new CpuRate();
    rate.next(0n, used(0));
    rate.next(10n * SECOND, used(1000));
    // A second client asks a millisecond later, and still gets the rate of the ten seconds.
    expect(rate.next(10n * SECOND + 1_000_000n, used(1001))).toBe(100_089_991);
  });

  it('does not use the average of an idle hour as the present load', () => {
    const rate = new CpuRate();
    rate.next(0n, used(0));
    expect(rate.next(3600n * SECOND, used(1000))).toBeUndefined();
    expect(rate.next(3601n * SECOND, used(1500))).toBe(500_000_000);
    expect(rate.next(3661n * SECOND, used(31_500))).toBe(500_000_000);
  });

  it('returns nothing for a counter that went back', () => {
    const rate = new CpuRate();
    rate.next(0n, used(100));
    expect(rate.next(SECOND, used(50))).toBeUndefined();
  });
});

describe('ReadingClock', () => {
  it('never returns the same time twice, and follows a clock that is set back', () => {
    const millis = [5, 5, 5, 6, 2];
    const clock = new ReadingClock(() => millis.shift() ?? 0);
    const told = Array.from({ length: 5 }, () => clock.now().toNumber());
    expect(told).toEqual([5_000_000, 5_000_001, 5_000_002, 6_000_000, 2_000_000]);
  });
});
