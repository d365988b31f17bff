import { BoundedSet } from '../../../src/lib/collections';

describe('BoundedSet', () => {
  it('forgets the oldest beyond its capacity', () => {
    const set = new BoundedSet<number>(3);
    for (const value of [1, 2, 3, 4]) set.add(value);
    expect([1, 2, 3, 4].filter((value) => set.has(value))).toEqual([2, 3, 4]);
  });

  it('adding a value again makes it the youngest and takes no second place', () => {
    const set = new BoundedSet<number>(3);
    for (const value of [1, 2, 3, 1, 4]) set.add(value);
    expect([1, 2, 3, 4].filter((value) => set.has(value))).toEqual([1, 3, 4]);
  });
});
