import { Broadcast } from '../../../../src/lib/async/broadcast';
import { rejectionOf } from '../../support/errors';

const { signal } = new AbortController();

async function take(
  reader: { next(signal: AbortSignal): Promise<number> },
  count: number,
): Promise<number[]> {
  const values: number[] = [];
  while (values.length < count) values.push(await reader.next(signal));
  return values;
}

describe('Broadcast', () => {
  it('gives each reader all values that are published after its subscription, in order', async () => {
    const broadcast = new Broadcast<number>(10);
    broadcast.publish(0);
    const early = broadcast.subscribe();
    broadcast.publish(1);
    const late = broadcast.subscribe();
    broadcast.publish(2);
    broadcast.publish(3);
    expect(await take(early, 3)).toEqual([1, 2, 3]);
    expect(await take(late, 2)).toEqual([2, 3]);
  });

  it('wakes a waiting reader', async () => {
    const broadcast = new Broadcast<number>(10);
    const reader = broadcast.subscribe();
    const next = reader.next(signal);
    broadcast.publish(1);
    expect(await next).toBe(1);
  });

  it('ends a wait with its signal, and loses no value', async () => {
    const broadcast = new Broadcast<number>(10);
    const reader = broadcast.subscribe();
    const controller = new AbortController();
    const next = reader.next(controller.signal);
    controller.abort(new Error('enough'));
    await expect(next).rejects.toThrow('enough');
    broadcast.publish(1);
    await expect(reader.next(controller.signal)).rejects.toThrow('enough');
    expect(await reader.next(signal)).toBe(1);
  });

  it('disconnects a reader that is too far behind, and no other', async () => {
    let cutOff = 0;
    const broadcast = new Broadcast<number>(3, () => cutOff++);
    const [slow, quick] = [broadcast.subscribe(), broadcast.subscribe()];
    for (const value of [1, 2, 3]) broadcast.publish(value);
    expect([cutOff, broadcast.backlog]).toEqual([0, 3]);
    expect(await take(quick, 1)).toEqual([1]);
    broadcast.publish(4);
    expect([cutOff, broadcast.readerCount]).toEqual([1, 1]);
    expect(await rejectionOf(slow.next(signal))).toMatch(/^RESOURCE_EXHAUSTED .*has missed events/);
    expect(await take(quick, 3)).toEqual([2, 3, 4]);
    expect(broadcast.backlog).toBe(0);
  });

  it('holds no values for disconnected readers, or without readers', () => {
    const broadcast = new Broadcast<number>(3);
    const stalled = broadcast.subscribe();
    for (let value = 0; value < 1_000; value++) broadcast.publish(value);
    expect(stalled).toMatchObject({ at: undefined });
    expect(broadcast).toMatchObject({ last: { value: 999, next: undefined } });
  });

  it('forgets a closed reader', async () => {
    const broadcast = new Broadcast<number>(3);
    const reader = broadcast.subscribe();
    reader.close();
    expect(broadcast.readerCount).toBe(0);
    expect(await rejectionOf(reader.next(signal))).toMatch(/^RESOURCE_EXHAUSTED/);
  });
});
