import { NameReservations } from '../../../src/store/name-reservations';
import { gate, settle } from '../support/async';

const { signal } = new AbortController();

describe('NameReservations', () => {
  it('holds a name as long as the work takes, whether it succeeds or fails', async () => {
    const names = new NameReservations();
    for (const fails of [false, true]) {
      const work = gate();
      const held = names.hold('n', signal, () => work.promise).catch(() => undefined);
      await settle();
      expect([names.isHeld('n'), names.isHeld('other')]).toEqual([true, false]);
      if (fails) work.reject(new Error('no'));
      else work.resolve();
      await held;
      expect(names.isHeld('n')).toBe(false);
    }
  });

  it('makes the second holder wait for the first', async () => {
    const names = new NameReservations();
    const [first, second] = [gate<string>(), gate<string>()];
    const order: string[] = [];
    const hold = (one: typeof first) =>
      names.hold('n', signal, async () => {
        order.push('begins');
        order.push(await one.promise);
      });
    const both = [hold(first), hold(second)];
    second.resolve('second');
    await settle();
    expect(order).toEqual(['begins']);
    first.resolve('first');
    await Promise.all(both);
    expect(order).toEqual(['begins', 'first', 'begins', 'second']);
    expect(names.isHeld('n')).toBe(false);
  });

  it('does not take the name from its holder when a waiting caller gives up', async () => {
    const names = new NameReservations();
    const work = gate();
    const held = names.hold('n', signal, () => work.promise);
    const controller = new AbortController();
    const waiting = names.hold('n', controller.signal, () => Promise.resolve());
    controller.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
    expect(names.isHeld('n')).toBe(true);
    work.resolve();
    await held;
  });
});
