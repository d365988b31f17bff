import { BoundedStop, WorkGate } from '../../../../src/lib/async/stopping';
import { silentLogger } from '../../../../src/lib/logger';
import { gate as barrier } from '../../support/async';
import { rejectionOf } from '../../support/errors';

describe('WorkGate', () => {
  it('admits work until it is closed, and reports when the last has left', async () => {
    const gate = new WorkGate();
    const [one, two] = [barrier(), barrier()];
    const works = [gate.run('one', () => one.promise), gate.run('two', () => two.promise)];
    gate.close('the node was handed over');
    expect(await rejectionOf(gate.run('three', () => Promise.resolve()))).toBe(
      'UNAVAILABLE the node was handed over',
    );
    expect(() => gate.check()).toThrow('the node was handed over');
    const idle = gate.whenIdle(60_000);
    one.resolve();
    two.resolve();
    expect(await idle).toEqual([]);
    await Promise.all(works);
  });

  it('waits no longer than its limit', async () => {
    const gate = new WorkGate();
    const slow = barrier();
    const work = gate.run('RunPodSandbox', () => slow.promise);
    expect(await gate.whenIdle(1)).toEqual(['RunPodSandbox']);
    slow.resolve();
    await work;
    expect(await gate.whenIdle(1)).toEqual([]);
  });

  it('lists the work inside with its subject, the oldest first', async () => {
    const gate = new WorkGate();
    const [one, two] = [barrier(), barrier()];
    const works = [
      gate.run(
        'one',
        () => one.promise,
        () => ({ pod: 'default/web' }),
      ),
      gate.run('two', () => two.promise),
    ];
    expect(gate.inProgress).toEqual([
      { name: 'one', age: expect.any(Number) as number, about: { pod: 'default/web' } },
      { name: 'two', age: expect.any(Number) as number, about: {} },
    ]);
    const [older, younger] = gate.inProgress;
    expect(older?.age).toBeGreaterThanOrEqual(younger?.age ?? Infinity);
    one.resolve();
    await works[0];
    expect(gate.inProgress.map(({ name }) => name)).toEqual(['two']);
    expect(gate.closedFor).toBeUndefined();
    gate.close('handed over');
    expect(gate.closedFor).toBe('handed over');
    two.resolve();
    await works[1];
  });
});

const never = (): Promise<void> => new Promise(() => undefined);

describe('BoundedStop', () => {
  it('continues after a step that fails, throws or hangs', async () => {
    const lines: unknown[] = [];
    const stop = new BoundedStop(60_000, { ...silentLogger, warn: (_, fields) => void lines.push(fields) });
    const done: string[] = [];
    await stop.step('zero', 1_000, () => Promise.resolve());
    expect(stop.hasLeftSomething).toBe(false);
    await stop.step('one', 1_000, () => Promise.reject(new Error('failed')));
    await stop.step('two', 1_000, () => {
      throw new Error('thrown');
    });
    await stop.step('three', 5, never);
    await stop.step('four', 1_000, () => Promise.resolve(done.push('four')));
    expect(done).toEqual(['four']);
    expect(stop.hasLeftSomething).toBe(true);
    expect(lines).toEqual([
      { part: 'one', error: 'failed' },
      { part: 'two', error: 'thrown' },
      { part: 'three', error: 'three took longer than 5 ms' },
    ]);
  });

  it('has one limit for all steps, and a last chance for each afterwards', async () => {
    const stop = new BoundedStop(10, silentLogger);
    await stop.step('long', 60_000, never);
    await stop.step('late and long', 60_000, never);
    let done = false;
    await stop.step('late and quick', 60_000, async () => {
      await Promise.resolve();
      done = true;
    });
    expect(done).toBe(true);
  });
});
