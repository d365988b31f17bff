import { RisingClock } from '../../../src/lib/rising-clock';

it('rises within a millisecond and when the clock is set back', () => {
  const times = [10, 10, 9, 11];
  const clock = new RisingClock(() => times.shift() ?? 0);
  expect([clock.now(), clock.now(), clock.now(), clock.now()]).toEqual([
    10_000_000n,
    10_000_001n,
    10_000_002n,
    11_000_000n,
  ]);
});
