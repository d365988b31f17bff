import { BoundedSet } from '../../../src/lib/collections';

describe('BoundedSet', () => {
  it('forgets the oldest value beyond its capacity', () => {
    const set = new BoundedSet<number>(3);
    for (const value of [1, 2, 3, 4]) set.add(value);
    expect([1, 2, 3, 4].filter((value) => set.has(value))).toEqual([2, 3, 4]);
  });

  it('makes a value the newest when it is added again, without a second place', () => {
    const set = new BoundedSet<number>(3);
    for (const value of [1, 2, 3, 1, 4]) set.add(value);
    expect([1, 2, 3, 4].filter((value) => set.has(value))).toEqual([1, 3, 4]);
  });
});
