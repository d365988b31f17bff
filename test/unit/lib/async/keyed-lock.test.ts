import { KeyedLock } from '../../../../src/lib/async/keyed-lock';
import { gate, settle } from '../../support/async';

function keysOf(lock: KeyedLock): number {
  return (lock as unknown as { tails: Map<string, unknown> }).tails.size;
}

describe('KeyedLock', () => {
  it('runs the holders of a key one at a time, first come first served', async () => {
    const lock = new KeyedLock();
    const order: string[] = [];
    const gates = [gate(), gate(), gate()];
    const runs = gates.map((one, index) =>
      lock.run('k', async () => {
        order.push(`begin ${index}`);
        await one.promise;
        order.push(`end ${index}`);
      }),
    );
    gates[2]!.resolve();
    gates[1]!.resolve();
    await settle();
    expect(order).toEqual(['begin 0']);
    gates[0]!.resolve();
    await Promise.all(runs);
    expect(order).toEqual(['begin 0', 'end 0', 'begin 1', 'end 1', 'begin 2', 'end 2']);
  });

  it('lets different keys run at the same time', async () => {
    const lock = new KeyedLock();
    const held = gate();
    const first = lock.run('a', () => held.promise);
    await expect(lock.run('b', () => Promise.resolve('done'))).resolves.toBe('done');
    held.resolve();
    await first;
  });

  it('passes on what the work returns or throws, and releases the key in both cases', async () => {
    const lock = new KeyedLock();
    await expect(lock.run('k', () => Promise.resolve(7))).resolves.toBe(7);
    await expect(lock.run('k', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    const throws = (): Promise<never> => {
      throw new Error('at once');
    };
    await expect(lock.run('k', throws)).rejects.toThrow('at once');
    await expect(lock.run('k', () => Promise.resolve(8))).resolves.toBe(8);
  });

  it('rejects an aborted waiter with the reason, and never runs its work', async () => {
    const lock = new KeyedLock();
    const held = gate();
    const first = lock.run('k', () => held.promise);
    const controller = new AbortController();
    const work = jest.fn(() => Promise.resolve());
    const waiting = lock.run('k', work, controller.signal);
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    held.resolve();
    await first;
    expect(work).not.toHaveBeenCalled();
  });

  it.each(['before the next one queues', 'after it'])(
    'does not admit the next waiter early when one is aborted (aborted %s)',
    async (when) => {
      const lock = new KeyedLock();
      const held = gate();
      const order: string[] = [];
      const first = lock.run('k', async () => {
        await held.promise;
        order.push('first ends');
      });
      const controller = new AbortController();
      const aborted = lock.run('k', () => Promise.resolve(), controller.signal);
      const gone = expect(aborted).rejects.toThrow();
      const queueNext = () =>
        lock.run('k', () => {
          order.push('next begins');
          return Promise.resolve();
        });
      let next: Promise<void> | undefined;
      if (when === 'after it') next = queueNext();
      controller.abort(new Error('enough'));
      await gone;
      next ??= queueNext();
      await settle();
      held.resolve();
      await Promise.all([first, next]);
      expect(order).toEqual(['first ends', 'next begins']);
    },
  );

  it('does not interrupt work when the signal fires', async () => {
    const lock = new KeyedLock();
    const controller = new AbortController();
    const result = lock.run(
      'k',
      async () => {
        controller.abort(new Error('too late'));
        await settle();
        return 'whole';
      },
      controller.signal,
    );
    await expect(result).resolves.toBe('whole');
  });

  it('keeps no key once nobody holds or awaits it, whatever happened', async () => {
    const lock = new KeyedLock();
    const held = gate();
    const controller = new AbortController();
    const ends = [
      lock.run('a', () => held.promise),
      lock.run('a', () => Promise.resolve(), controller.signal),
      lock.run('b', () => Promise.reject(new Error('no'))),
      lock.run('c', () => Promise.resolve()),
    ].map((end) => end.catch(() => undefined));
    controller.abort(new Error('enough'));
    await settle();
    expect(keysOf(lock)).toBe(1);
    held.resolve();
    await Promise.all(ends);
    await settle();
    expect(keysOf(lock)).toBe(0);
  });
});
