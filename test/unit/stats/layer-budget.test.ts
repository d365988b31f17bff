import Long from 'long';
import { LayerBudget, type LayerTimes } from '../../../src/stats/disk/layer-budget';
import type { MeasuredLayer } from '../../../src/stats/disk/layer-source';
import { silentLogger } from '../../../src/lib/logger';
import { gate, settle, until, type Gate } from '../support/async';
import { setClockBack } from '../support/clock';

const target = (id: string): { id: string; pid: number } => ({ id, pid: 1 });

function layer(usedBytes: number, costMs = 0): MeasuredLayer {
  return { reading: { timestamp: Long.ONE, mountpoint: '/', usedBytes, inodesUsed: 1 }, costMs };
}

describe('LayerBudget', () => {
  let asked: string[];
  let open: Gate<MeasuredLayer | undefined>[];
  let budget: LayerBudget;

  function start(times: Partial<LayerTimes>, answer?: (id: string) => MeasuredLayer | undefined): void {
    asked = [];
    open = [];
    budget = new LayerBudget(
      ({ id }) => {
        asked.push(id);
        if (answer !== undefined) return Promise.resolve(answer(id));
        const held = gate<MeasuredLayer | undefined>();
        open.push(held);
        return held.promise;
      },
      silentLogger,
      times,
    );
    budget.start();
  }
  afterEach(async () => {
    for (const held of open) held.resolve(undefined);
    await budget.close();
  });

  it('measures two layers at a time, in the order in which they came', async () => {
    start({});
    for (const id of ['a', 'b', 'c', 'd']) budget.add(target(id));
    await settle();
    expect(asked).toEqual(['a', 'b']);
    open[1]?.resolve(layer(2));
    await until(() => asked.length === 3);
    expect(asked).toEqual(['a', 'b', 'c']);
    expect(budget.reading('b')?.usedBytes).toBe(2);
    expect(budget.reading('a')).toBeUndefined();
  });

  it('logs an error once for all layers, and again after a success in between', async () => {
    const warn = jest.fn();
    let fails = true;
    let measured = 0;
    budget = new LayerBudget(
      () => {
        measured++;
        return fails ? Promise.reject(new Error('no thread')) : Promise.resolve(layer(5));
      },
      { ...silentLogger, warn },
      { shortest: 1, longest: 1 },
    );
    open = [];
    budget.start();
    for (const id of ['a', 'b', 'c']) budget.add(target(id));
    await until(() => measured > 6);
    expect(warn).toHaveBeenCalledTimes(1);
    fails = false;
    await until(() => budget.reading('a') !== undefined);
    fails = true;
    await until(() => warn.mock.calls.length === 2);
  });

  it('continues when the clock is set back by hours', async () => {
    start({ shortest: 1, longest: 1 }, () => layer(5));
    budget.add(target('a'));
    await until(() => asked.length >= 2);
    const clock = setClockBack();
    try {
      const before = asked.length;
      await until(() => asked.length > before + 2, 'the next measurements');
    } finally {
      clock.restore();
    }
  });

  it('does not measure the layer of an ended container, but keeps its reading until it is removed', async () => {
    start({ shortest: 1, longest: 1 }, () => layer(5));
    budget.add(target('a'));
    await until(() => asked.length >= 2);
    budget.end('a');
    await settle();
    const before = asked.length;
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(asked.length).toBe(before);
    expect(budget.reading('a')?.usedBytes).toBe(5);
    budget.forget('a');
    expect(budget.reading('a')).toBeUndefined();
  });

  it('wakes waiting callers when the first measurement is there or will never come', async () => {
    start({});
    for (const id of ['a', 'b', 'c']) budget.add(target(id));
    await settle();
    const { signal } = new AbortController();
    const first = budget.whenMeasured('a', signal);
    const never = budget.whenMeasured('c', signal);
    open[0]?.resolve(layer(1));
    budget.end('c');
    await Promise.all([first, never, budget.whenMeasured('unknown', signal)]);
    expect(budget.reading('a')?.usedBytes).toBe(1);
    const hasty = budget.whenMeasured('b', AbortSignal.abort(new Error('no time')));
    await expect(hasty).rejects.toThrow('no time');
  });

  it('measures a growing layer often, an unchanged one at growing intervals, and an expensive one rarely', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    try {
      const begin = performance.now();
      let size = 0;
      /** The seconds after the start at which each layer is measured. */
      const at: Record<string, number[]> = { still: [], grows: [], dear: [], broken: [] };
      start({}, (id) => {
        at[id]!.push(Math.round((performance.now() - begin) / 1000));
        if (id === 'broken') throw new Error('disk');
        if (id === 'grows') return layer(++size);
        return layer(7, id === 'dear' ? 1_000 : 0);
      });
      for (const id of Object.keys(at)) budget.add(target(id));
      for (let second = 0; second < 400; second++) await jest.advanceTimersByTimeAsync(1_000);
      expect(at.still).toEqual([0, 10, 30, 70, 150, 270, 390]);
      expect(at.grows).toEqual(Array.from({ length: 41 }, (_, count) => 10 * count));
      expect(at.dear).toEqual([0, 200, 400]);
      expect(at.broken).toEqual([0, 120, 240, 360]);
      await budget.close();
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });

  it('continues after a failure', async () => {
    start({}, (id) => {
      if (id === 'broken') throw new Error('disk');
      return layer(1);
    });
    for (const id of ['broken', 'fine']) budget.add(target(id));
    await until(() => budget.reading('fine') !== undefined);
    expect(asked).toEqual(['broken', 'fine']);
  });
});
