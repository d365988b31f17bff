import { WorkGate } from '../../../../src/lib/async/work-gate';
import { gate as barrier } from '../../support/async';
import { rejectionOf } from '../../support/errors';

describe('WorkGate', () => {
  it('lets work in until it is closed, and tells when the last has left', async () => {
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

  it('knows what is inside, the oldest first, and what it is about', async () => {
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

  it('waits no longer than it is told', async () => {
    const gate = new WorkGate();
    const slow = barrier();
    const work = gate.run('RunPodSandbox', () => slow.promise);
    expect(await gate.whenIdle(1)).toEqual(['RunPodSandbox']);
    slow.resolve();
    await work;
    expect(await gate.whenIdle(1)).toEqual([]);
  });
});
