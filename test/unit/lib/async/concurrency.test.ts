import { forEachLimited, Semaphore } from '../../../../src/lib/async/concurrency';
import { gate, settle } from '../../support/async';

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('forEachLimited', () => {
  it.each([
    { desc: 'fewer items than the limit', items: 3, limit: 8, most: 3 },
    { desc: 'more items than the limit', items: 20, limit: 4, most: 4 },
    { desc: 'one at a time', items: 5, limit: 1, most: 1 },
    { desc: 'no items', items: 0, limit: 4, most: 0 },
  ])('runs all items, at most $most at once: $desc', async ({ items, limit, most }) => {
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

  it('handles falsy items like others', async () => {
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

describe('Semaphore', () => {
  it('admits as many callers as it has places, and the others in order', async () => {
    const semaphore = new Semaphore(2);
    const gates = [gate(), gate(), gate(), gate()];
    const entered: number[] = [];
    const work = gates.map(({ promise }, index) =>
      semaphore.run(async () => {
        entered.push(index);
        await promise;
      }),
    );
    await settle();
    expect(entered).toEqual([0, 1]);
    gates[1]!.resolve();
    await settle();
    expect(entered).toEqual([0, 1, 2]);
    gates[0]!.reject(new Error('failed'));
    await expect(work[0]).rejects.toThrow('failed');
    await settle();
    expect(entered).toEqual([0, 1, 2, 3]);
    for (const open of gates) open.resolve();
    await Promise.allSettled(work);
  });

  it('gives no place to a caller that has stopped waiting', async () => {
    const semaphore = new Semaphore(1);
    const first = gate();
    const holder = semaphore.run(() => first.promise);
    const controller = new AbortController();
    const quitter = semaphore.run(() => Promise.reject(new Error('must not run')), controller.signal);
    const next = semaphore.run(() => Promise.resolve('in'));
    controller.abort(new Error('gave up'));
    await expect(quitter).rejects.toThrow('gave up');
    first.resolve();
    await holder;
    expect(await next).toBe('in');
    expect(await semaphore.run(() => Promise.resolve('again'))).toBe('again');
  });

  it('runs lone work when all other work has ended, and makes later work wait', async () => {
    const semaphore = new Semaphore(2);
    const [first, alone] = [gate(), gate()];
    const entered: string[] = [];
    const enter =
      (name: string, until: Promise<void> = Promise.resolve()) =>
      async () => {
        entered.push(name);
        await until;
      };
    const work = [
      semaphore.run(enter('first', first.promise)),
      semaphore.runAlone(enter('alone', alone.promise)),
      semaphore.run(enter('second')),
    ];
    await settle();
    // The waiting `alone` does not keep others waiting.
    expect(entered).toEqual(['first', 'second']);
    first.resolve();
    await settle();
    work.push(semaphore.run(enter('third')), semaphore.run(enter('fourth')));
    await settle();
    expect(entered).toEqual(['first', 'second', 'alone']);
    alone.resolve();
    await Promise.all(work);
    await semaphore.runAlone(enter('again'));
    expect(entered).toEqual(['first', 'second', 'alone', 'third', 'fourth', 'again']);
  });

  it('makes nothing wait for lone work whose caller has given up', async () => {
    const semaphore = new Semaphore(1);
    const first = gate();
    const holder = semaphore.run(() => first.promise);
    const controller = new AbortController();
    const quitter = semaphore.runAlone(() => Promise.reject(new Error('must not run')), controller.signal);
    controller.abort(new Error('gave up'));
    await expect(quitter).rejects.toThrow('gave up');
    first.resolve();
    await holder;
    expect(await semaphore.run(() => Promise.resolve('in'))).toBe('in');
  });
});
