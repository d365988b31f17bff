import { silentLogger } from '../../../src/lib/logger';
import { LayerBudget } from '../../../src/stats/disk/layer-budget';
import { settle } from '../support/async';

describe('the end of a layer budget', () => {
  it('interrupts the measurement under way, and does not count that as a failure', async () => {
    const warn = jest.fn();
    const cut: unknown[] = [];
    const budget = new LayerBudget(
      (_, signal) =>
        new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => {
            cut.push(signal.reason);
            reject(new Error('the thread has ended'));
          }),
        ),
      { ...silentLogger, warn },
    );
    budget.start();
    budget.add({ id: 'a', pid: 1 });
    await settle();
    const waits = budget.whenMeasured('a', new AbortController().signal);
    await budget.close();
    await waits;
    expect([cut.length, warn.mock.calls]).toEqual([1, []]);
  });
});
