import { forEachLimited } from '../../../../src/lib/async/concurrency';

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('forEachLimited', () => {
  it.each([
    { desc: 'fewer items than the limit', items: 3, limit: 8, most: 3 },
    { desc: 'more items than the limit', items: 20, limit: 4, most: 4 },
    { desc: 'one at a time', items: 5, limit: 1, most: 1 },
    { desc: 'nothing to do', items: 0, limit: 4, most: 0 },
  ])('$desc', async ({ items, limit, most }) => {
    const [seen, running] = [[] as number[], { now: 0, most: 0 }];
    await forEachLimited(
      Array.from({ length: items }, (_, index) => index),
      limit,
      async (item) => {
        running.most = Math.max(running.most, ++running.now);
        await turn();
        seen.push(item);
        running.now--;
      },
    );
    expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: items }, (_, index) => index));
    expect(running.most).toBe(most);
  });

  it('takes falsy items as items', async () => {
    const seen: unknown[] = [];
    await forEachLimited([0, '', false, null, undefined, 'last'], 2, (item) => {
      seen.push(item);
      return Promise.resolve();
    });
    expect(seen).toEqual([0, '', false, null, undefined, 'last']);
  });

  it('rejects with the first error, after all others have ended', async () => {
    const ended: number[] = [];
    const work = forEachLimited([1, 2, 3, 4], 2, async (item) => {
      await turn();
      if (item === 3) await turn();
      ended.push(item);
      if (item % 2 === 0) throw new Error(`no ${item}`);
    });
    await expect(work).rejects.toThrow('no 2');
    expect(ended.sort()).toEqual([1, 2, 3, 4]);
  });
});
