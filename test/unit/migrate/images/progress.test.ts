import { bytesText, durationText, Progress } from '../../../../src/migrate/images/progress';

describe('Progress', () => {
  it('shows bytes, rate and the time that is left', () => {
    const progress = new Progress(3, 1_000_000_000, 0);
    progress.add(100_000_000, 500);
    progress.add(100_000_000, 1000);
    expect(progress.line(1000)).toBe('0 of 3 images · 200 MB of 1.0 GB · 200 MB/s · 4.0 s left');
  });

  it('forgets a rate that is older than ten seconds', () => {
    const progress = new Progress(1, 10_000_000_000, 0);
    progress.add(1_000_000_000, 1000);
    for (let second = 2; second <= 20; second++) progress.add(1_000_000, second * 1000);
    expect(progress.rate(20_000)).toBeLessThan(1_100_000);
  });

  it('corrects the total when an image needs less than expected', () => {
    const progress = new Progress(2, 1_000, 0);
    progress.add(100, 1000);
    progress.finish(900, 100);
    expect(progress.line(1000)).toContain('1 of 2 images · 100 B of 200 B');
  });

  it('says nothing about the rate before it knows one', () => {
    expect(new Progress(1, 1_000, 0).line(10_000)).toBe('0 of 1 images · 0 B of 1.0 KB');
  });
});

it.each([
  [0, '0 B'],
  [999, '999 B'],
  [1_500, '1.5 KB'],
  [123_456_789, '123 MB'],
  [2_000_000_000_000_000, '2000 TB'],
])('%d bytes are shown as %s', (count, text) => {
  expect(bytesText(count)).toBe(text);
});

it.each([
  [230, '0.2 s'],
  [42_300, '42 s'],
  [185_000, '3 min 5 s'],
])('%d ms are shown as %s', (ms, text) => {
  expect(durationText(ms)).toBe(text);
});
