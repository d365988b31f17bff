import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../../src/lib/logger';
import { attachedByOthers, Cleanup, freeGarbage } from '../../../src/network/cni/garbage';
import { parseNetworkList } from '../../../src/network/cni/network-config';
import type { PluginChain } from '../../../src/network/cni/plugin-chain';
import { rejectionOf } from '../support/errors';
import { ATTACHMENT, listOf } from './fake-plugins';

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

  it('retries until it succeeds, at growing intervals of at most a minute', async () => {
    const timers = jest.spyOn(globalThis, 'setTimeout');
    cleanup.request('s1');
    await jest.advanceTimersByTimeAsync(0);
    expect(tried).toEqual(['s1']);
    // The timer does not keep the daemon from ending.
    expect(timers.mock.results.map(({ value }) => (value as NodeJS.Timeout).hasRef())).toEqual([false]);
    timers.mockRestore();
    for (const seconds of [1, 2, 4, 8, 16, 32, 60, 60]) await isTriedAfter(1_000 * seconds);
    failures = 0;
    await isTriedAfter(60_000);
    expect(warn).toHaveBeenCalledTimes(9);
    expect(jest.getTimerCount()).toBe(0);
    // A later request for the same sandbox is tried at once, and its retries start at one second again.
    failures = 1;
    cleanup.request('s1');
    await jest.advanceTimersByTimeAsync(0);
    await isTriedAfter(1_000);
    expect(new Set(tried)).toEqual(new Set(['s1']));
  });

  it('can be requested any number of times, and runs one attempt at a time for each sandbox', async () => {
    for (let time = 0; time < 3; time++) for (const id of ['s1', 's2']) cleanup.request(id);
    await jest.advanceTimersByTimeAsync(0);
    expect(tried).toEqual(['s1', 's2']);
    cleanup.request('s1');
    await jest.advanceTimersByTimeAsync(1_000);
    expect(tried).toEqual(['s1', 's2', 's1', 's2']);
  });

  it('makes no more attempts once somebody else has freed the sandbox', async () => {
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

it('a network that cannot be freed is logged with its sandbox and the next pause', async () => {
  jest.useFakeTimers();
  try {
    const told: unknown[] = [];
    const warn = (...line: unknown[]): void => void told.push(line);
    const cleanup = new Cleanup(() => Promise.reject(new Error('busy')), { ...silentLogger, warn });
    cleanup.request('s1');
    await jest.advanceTimersByTimeAsync(1_000);
    cleanup.close();
    const message = 'Cannot free the network of a vanished pod yet; retrying';
    expect(told).toEqual([
      [message, { sandbox: 's1', error: 'busy', inMs: 1_000 }],
      [message, { sandbox: 's1', error: 'busy', inMs: 2_000 }],
    ]);
  } finally {
    jest.useRealTimers();
  }
});

describe('GC by plugins', () => {
  const config = parseNetworkList(JSON.stringify(listOf(['one'], { cniVersion: '1.1.0' })));
  const entry = (containerId: string, networkName = 'net', ifName = 'eth0') => ({
    ...{ ...ATTACHMENT, containerId, networkName, ifName, config: '', result: undefined },
  });
  const chainOf = (gc: PluginChain['gc']): PluginChain => ({ gc }) as unknown as PluginChain;
  const { signal } = new AbortController();

  it('keeps the recorded attachments of this network, and those of sandboxes that have no record', async () => {
    const gc = jest.fn<Promise<void>, Parameters<PluginChain['gc']>>(() => Promise.resolve());
    const filed = [entry('c1'), entry('c2', 'other'), entry('c3', 'net', 'net1')];
    await freeGarbage(chainOf(gc), config, { filed, lost: ['c4'] }, signal);
    expect(gc.mock.calls).toEqual([
      [
        config,
        [
          { containerID: 'c1', ifname: 'eth0' },
          { containerID: 'c3', ifname: 'net1' },
          { containerID: 'c4', ifname: 'eth0' },
        ],
        expect.any(AbortSignal),
      ],
    ]);
  });

  it('ends after half a minute, and with its caller', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    try {
      const hang: PluginChain['gc'] = (_, __, given) =>
        new Promise((___, reject) =>
          given?.addEventListener('abort', () => reject(given.reason as Error), { once: true }),
        );
      const collecting = rejectionOf(freeGarbage(chainOf(hang), config, { filed: [], lost: [] }, signal));
      await jest.advanceTimersByTimeAsync(29_999);
      expect(jest.getTimerCount()).toBe(1);
      await jest.advanceTimersByTimeAsync(1);
      expect(await collecting).toBe(
        'DEADLINE_EXCEEDED The garbage collection of CNI plugins took longer than 30000 ms',
      );
      const caller = new AbortController();
      const other = freeGarbage(chainOf(hang), config, { filed: [], lost: [] }, caller.signal);
      caller.abort(new Error('left'));
      await expect(other).rejects.toThrow('left');
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });

  it('finds the attachments of this network in the cache of other programs, unless that cache is our own', async () => {
    const root = await mkdtemp(join(tmpdir(), 'dockbridge-others-'));
    try {
      await mkdir(join(root, 'others/results'), { recursive: true });
      for (const name of ['net', 'another'])
        await writeFile(
          join(root, `others/results/${name}-c1-eth0`),
          JSON.stringify({ kind: 'cniCacheV1', containerId: 'c1', ifName: 'eth0', networkName: name }),
        );
      const others = (cacheDir: string): Promise<string[]> =>
        attachedByOthers({ cacheDir, othersCacheDir: join(root, 'others') }, 'net').then((found) =>
          found.map(({ containerId, networkName }) => `${networkName} ${containerId}`),
        );
      expect(await others(join(root, 'own'))).toEqual(['net c1']);
      expect(await others(join(root, 'own/../others/'))).toEqual([]);
      // Our own cache may be the one of CNI's library.
      expect(await attachedByOthers({ cacheDir: '/var/lib/cni/' }, 'net')).toEqual([]);
    } finally {
      await rm(root, { recursive: true });
    }
  });
});
