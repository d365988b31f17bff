import { marks, panned, wholeRange, zoomed } from '../../../page/time-range';

const whole = wholeRange(100);

it('the full range has some margin at both ends, even for a run without a length', () => {
  expect(whole).toEqual({ from: -2, to: 102 });
  expect(wholeRange(0).to).toBeGreaterThan(wholeRange(0).from);
});

it('zooming keeps the moment under the pointer in place', () => {
  const { from, to } = zoomed(whole, 0.5, 24, 100);
  expect(to - from).toBeCloseTo(52);
  expect((24 - from) / (to - from)).toBeCloseTo((24 - whole.from) / (whole.to - whole.from));
});

it('neither zooming nor moving leaves the run', () => {
  expect(zoomed(whole, 4, 50, 100)).toEqual(whole);
  const part = { from: 10, to: 20 };
  expect(panned(part, -50, 100)).toEqual({ from: -2, to: 8 });
  expect(panned(part, 500, 100)).toEqual({ from: 92, to: 102 });
  expect(zoomed(part, 1e-12, 15, 100).to - 15).toBeGreaterThan(0);
});

it.each([
  [{ from: -2, to: 102 }, ['0 s', '20 s', '40 s', '60 s', '80 s', '100 s']],
  [{ from: 0.0011, to: 0.0049 }, ['0.002 s', '0.003 s', '0.004 s']],
  [{ from: 9.9, to: 10.35 }, ['9.9 s', '10.0 s', '10.1 s', '10.2 s', '10.3 s']],
])('the axis has marks at round times in the range %j', (range, labels) => {
  expect(marks(range, 600, 100).map(({ label }) => label)).toEqual(labels);
});
