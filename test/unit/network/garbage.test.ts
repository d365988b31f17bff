import { silentLogger } from '../../../src/lib/logger';
import { Cleanup } from '../../../src/network/cni/garbage';

describe('Cleanup', () => {
  let tried: string[];
  let failures: number;
  let warn: jest.Mock;
  let cleanup: Cleanup;

  beforeEach(() => {
    jest.useFakeTimers();
    [tried, failures, warn] = [[], Infinity, jest.fn()];
    cleanup = new Cleanup(
      (id) => {
        tried.push(id);
        return failures-- > 0 ? Promise.reject(new Error('still busy')) : Promise.resolve();
      },
      { ...silentLogger, warn },
    );
  });
  afterEach(() => {
    cleanup.close();
    jest.useRealTimers();
  });

  async function isTriedAfter(ms: number): Promise<void> {
    const before = tried.length;
    await jest.advanceTimersByTimeAsync(ms - 1);
    expect(tried).toHaveLength(before);
    await jest.advanceTimersByTimeAsync(1);
    expect(tried).toHaveLength(before + 1);
  }

  it('tries again until it succeeds, after growing pauses of a minute at most', async () => {
    cleanup.request('s1');
    await jest.advanceTimersByTimeAsync(0);
    expect(tried).toEqual(['s1']);
    for (const seconds of [1, 2, 4, 8, 16, 32, 60, 60]) await isTriedAfter(1_000 * seconds);
    failures = 0;
    await isTriedAfter(60_000);
    expect(warn).toHaveBeenCalledTimes(9);
    expect(jest.getTimerCount()).toBe(0);
    // It may vanish once more, and is tried at once then.
    failures = 1;
    cleanup.request('s1');
    await jest.advanceTimersByTimeAsync(0);
    await isTriedAfter(1_000);
    expect(new Set(tried)).toEqual(new Set(['s1']));
  });

  it('is asked for as often as anybody likes, and tries one at a time for each sandbox', async () => {
    for (let time = 0; time < 3; time++) for (const id of ['s1', 's2']) cleanup.request(id);
    await jest.advanceTimersByTimeAsync(0);
    expect(tried).toEqual(['s1', 's2']);
    cleanup.request('s1');
    await jest.advanceTimersByTimeAsync(1_000);
    expect(tried).toEqual(['s1', 's2', 's1', 's2']);
  });

  it('tries no more once somebody else has freed it', async () => {
    cleanup.request('s1');
    await jest.advanceTimersByTimeAsync(0);
    cleanup.done('s1');
    expect(jest.getTimerCount()).toBe(0);
    cleanup.request('s1');
    await jest.advanceTimersByTimeAsync(0);
    expect(tried).toEqual(['s1', 's1']);
  });

  it.each(['while it pauses', 'while it tries'])('ends when it is closed %s', async (when) => {
    cleanup.request('s1');
    if (when === 'while it pauses') await jest.advanceTimersByTimeAsync(0);
    cleanup.close();
    cleanup.request('s2');
    await jest.advanceTimersByTimeAsync(100_000);
    expect(tried).toEqual(['s1']);
    expect(jest.getTimerCount()).toBe(0);
  });
});
