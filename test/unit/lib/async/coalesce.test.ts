import { coalesce } from '../../../../src/lib/async/coalesce';
import { gate } from '../../support/async';

it('coalesce shares what is under way, and starts anew after it', async () => {
  let started = 0;
  const done = gate<number>();
  const shared = coalesce(() => {
    started++;
    return done.promise;
  });
  const calls = [shared(), shared()];
  done.resolve(7);
  expect(await Promise.all(calls)).toEqual([7, 7]);
  expect(started).toBe(1);
  await shared();
  expect(started).toBe(2);
});
