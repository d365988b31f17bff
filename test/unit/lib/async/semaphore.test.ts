import { Semaphore } from '../../../../src/lib/async/semaphore';
import { gate, settle } from '../../support/async';

describe('Semaphore', () => {
  it('lets as many in as it has places, the rest in order', async () => {
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

  it('gives a place to nobody who stopped waiting', async () => {
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

  it('alone: when all have ended, with all others waiting', async () => {
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
    // It is nobody's turn that keeps others waiting.
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

  it('alone: nothing waits for one that gave up', async () => {
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
