import { UsedInodes } from '../../../../src/node/disk/used-inodes';
import { gate } from '../../support/async';

const DISK = { files: 10, ffree: 3 };

describe('inodes in use', () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  it('are read anew each time', async () => {
    let ffree = 4;
    const inodes = new UsedInodes(() => Promise.resolve({ files: 10, ffree: ffree-- }));
    expect([await inodes.of('/a'), await inodes.of('/a')]).toEqual([6, 7]);
  });

  it.each([
    { desc: 'without a fixed number', read: () => Promise.resolve({ files: 0, ffree: 0 }) },
    { desc: 'that is gone', read: () => Promise.reject(new Error('ENOENT')) },
  ])('are unknown of a file system $desc', async ({ read }) => {
    expect(await new UsedInodes(read).of('/a')).toBeUndefined();
  });

  it('are the last known while the disk hangs, which is asked once', async () => {
    const answer = gate<typeof DISK>();
    let reads = 0;
    const inodes = new UsedInodes(() => (++reads === 1 ? Promise.resolve(DISK) : answer.promise));
    await inodes.of('/a');
    for (let poll = 0; poll < 5; poll++) {
      const used = inodes.of('/a');
      await jest.advanceTimersByTimeAsync(2_000);
      expect(await used).toBe(7);
    }
    expect(reads).toBe(2);
    answer.resolve({ files: 10, ffree: 1 });
    await jest.advanceTimersByTimeAsync(0);
    await inodes.of('/a');
    expect([await inodes.of('/a'), reads]).toEqual([9, 4]);
  });
});
