import Long from 'long';
import type { EngineContainerStats } from '../../../src/engine/types';
import {
  cancelled,
  deadlineExceeded,
  failedPrecondition,
  notFound,
  unavailable,
} from '../../../src/lib/errors';
import { silentLogger } from '../../../src/lib/logger';
import { CgroupSource } from '../../../src/stats/cgroup/cgroup-source';
import { chooseSource, createNodeStats, type StatsChoice } from '../../../src/stats/create-node-stats';
import { EngineSource } from '../../../src/stats/engine-source';
import { ReadingClock } from '../../../src/stats/readings';
import type { EngineFacts } from '../../../src/store/records';
import { WritableStore } from '../../../src/store/store';
import { gate, settle, until, type Gate } from '../support/async';
import { rejectionOf } from '../support/errors';
import { runningContainer } from '../support/records';

let mockAreMounted = true;
jest.mock('../../../src/node/cgroup', () => ({
  ...jest.requireActual<object>('../../../src/node/cgroup'),
  readHierarchies: () =>
    Promise.resolve(mockAreMounted ? { version: 2, unified: { mountPoint: '/none', root: '/' } } : undefined),
}));

const TARGET = { id: 'c1', pid: 7 };
const clock = (): ReadingClock => new ReadingClock(() => 1_700_000_000_000);
const timestamp = clock().now();

const STATS: EngineContainerStats = {
  read: '2026-11-22T08:00:00Z',
  cpu_stats: {
    cpu_usage: { total_usage: 3_000_000_000, usage_in_usermode: 1, usage_in_kernelmode: 2 },
    throttling_data: { periods: 3, throttled_periods: 4, throttled_time: 5 },
  },
  memory_stats: { usage: 1_000, limit: 8_000, stats: { inactive_file: 400, anon: 6 } },
  networks: {
    eth0: {
      ...{ rx_bytes: 11, rx_packets: 12, rx_errors: 13, rx_dropped: 14 },
      ...{ tx_bytes: 15, tx_packets: 16, tx_errors: 17, tx_dropped: 18 },
    },
  },
};

describe('readings of an Engine on another machine', () => {
  let asked: string[];
  let answer: (id: string, signal: AbortSignal) => Promise<EngineContainerStats>;
  let source: EngineSource;
  beforeEach(() => {
    asked = [];
    answer = () => Promise.resolve(STATS);
    source = new EngineSource(
      {
        containerStats: (id, { signal }) => {
          asked.push(id);
          return answer(id, signal);
        },
      },
      clock(),
    );
  });
  afterEach(() => jest.restoreAllMocks());

  it("are those of the Engine's stats, with a rate from the second one on", async () => {
    const at = jest.spyOn(process.hrtime, 'bigint').mockReturnValue(0n);
    const memory = { timestamp, usage: 1_000, workingSet: 600, limit: undefined, rss: 6 };
    const first = await source.usage(TARGET);
    expect(first?.cpu).toEqual({ timestamp, usageNanos: Long.fromNumber(3e9, true), nanoCores: undefined });
    expect(first?.memory).toMatchObject(memory);
    at.mockReturnValue(1_000_000_000n);
    const total_usage = 3_500_000_000;
    answer = () =>
      Promise.resolve({
        ...STATS,
        cpu_stats: { ...STATS.cpu_stats, cpu_usage: { ...STATS.cpu_stats.cpu_usage, total_usage } },
      });
    const second = await source.usage(TARGET);
    expect([second?.cpu?.usageNanos.toNumber(), second?.cpu?.nanoCores]).toEqual([total_usage, 500_000_000]);
    // Another container has a rate of its own, and this one begins a new rate after it was forgotten.
    expect((await source.usage({ id: 'c2', pid: 8 }))?.cpu?.nanoCores).toBeUndefined();
    await source.forget('c2');
    at.mockReturnValue(2_000_000_000n);
    expect((await source.usage(TARGET))?.cpu?.nanoCores).toBe(0);
    await source.forget(TARGET.id);
    expect((await source.usage(TARGET))?.cpu?.nanoCores).toBeUndefined();
    expect(asked).toEqual(['c1', 'c1', 'c2', 'c1', 'c1']);
  });

  it('have details, interfaces and the usual name of a cgroup', async () => {
    const detail = await source.detail(TARGET);
    expect(detail).toMatchObject({ cgroup: '/docker/c1', periods: 3, throttledPeriods: 4 });
    expect(detail?.usage.cpu?.usageNanos.toNumber()).toBe(3e9);
    expect(await source.interfaces(TARGET)).toEqual([
      {
        name: 'eth0',
        ...{ rxBytes: 11, rxPackets: 12, rxErrors: 13, rxDropped: 14 },
        ...{ txBytes: 15, txPackets: 16, txErrors: 17, txDropped: 18 },
      },
    ]);
    expect(await source.cgroupName(TARGET)).toBe('/docker/c1');
  });

  it.each([
    [{ slab: 5 }, 5],
    [{ kernel_stack: 7 }, 7],
    [{ slab: 5, kernel_stack: 7 }, 12],
  ])("add up the known parts of the kernel's memory: %j", async (lines, kernel) => {
    answer = () => Promise.resolve({ ...STATS, memory_stats: { usage: 1, stats: lines } });
    expect((await source.detail(TARGET))?.kernel).toBe(kernel);
  });

  it('do not exist for pods and processes, which the Engine does not know', async () => {
    const none = [source.podUsage(), source.podDetail(), source.processes(), source.watch(), source.close()];
    expect(await Promise.all(none)).toEqual(Array(5).fill(undefined));
    expect(asked).toEqual([]);
  });

  it('do not exist for a container that has ended', async () => {
    answer = () => Promise.resolve({ ...STATS, memory_stats: {} });
    expect([await source.usage(TARGET), await source.detail(TARGET)]).toEqual([undefined, undefined]);
  });

  it.each([notFound('gone'), deadlineExceeded('hangs'), failedPrecondition('not running')])(
    'are omitted after $code',
    async (error) => {
      answer = () => Promise.reject(error);
      expect([
        await source.usage(TARGET),
        await source.detail(TARGET),
        await source.interfaces(TARGET),
      ]).toEqual([undefined, undefined, undefined]);
    },
  );

  it('fail if the Engine fails or the call ends', async () => {
    answer = () => Promise.reject(unavailable('away'));
    expect(await rejectionOf(source.usage(TARGET))).toBe('UNAVAILABLE away');
    const call = new AbortController();
    answer = () => {
      call.abort(cancelled('the client has left'));
      return Promise.reject(notFound('gone'));
    };
    expect(await rejectionOf(source.usage(TARGET, call.signal))).toBe('CANCELLED the client has left');
  });

  it('are given up separately after five seconds, and four run at a time', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    try {
      const held = new Map<string, Gate<EngineContainerStats>>();
      answer = (id, signal) => {
        const waits = gate<EngineContainerStats>();
        held.set(id, waits);
        signal.addEventListener('abort', () => waits.reject(signal.reason as Error));
        return waits.promise;
      };
      const all = ['a', 'b', 'c', 'd', 'e'].map((id) => source.usage({ id, pid: 1 }));
      await settle();
      expect(asked).toEqual(['a', 'b', 'c', 'd']);
      held.get('a')!.resolve(STATS);
      await settle();
      expect(asked).toEqual(['a', 'b', 'c', 'd', 'e']);
      await jest.advanceTimersByTimeAsync(4_999);
      held.get('e')!.resolve(STATS);
      await jest.advanceTimersByTimeAsync(1);
      const known = (await Promise.all(all)).map((usage) => usage !== undefined);
      expect(known).toEqual([true, false, false, false, true]);
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });
});

describe('the source of stats', () => {
  const choose = async (choice: StatsChoice, localEngine: boolean, areMounted: boolean) => {
    mockAreMounted = areMounted;
    const told: unknown[] = [];
    const info = (message: string, fields: unknown): number => told.push([message, fields]);
    const { source, visible } = await chooseSource({
      ...{ choice, localEngine, heldFiles: 10, clock: clock() },
      engine: { containerStats: () => Promise.reject(new Error('not asked for')) },
      logger: { ...silentLogger, info },
    });
    const kind = source instanceof CgroupSource ? 'cgroup' : source instanceof EngineSource ? 'engine' : '';
    return { kind, visible, told };
  };
  const WORDS = 'Reading stats from Docker Engine, which costs much more than reading cgroup files';

  it.each([
    ['auto', true],
    ['cgroup', true],
    ['cgroup', false],
  ] as const)('for %s is the cgroup files (local Engine: %s)', async (choice, localEngine) => {
    expect(await choose(choice, localEngine, true)).toEqual({
      ...{ kind: 'cgroup', visible: true },
      told: [['Reading stats from cgroup files', { cgroupVersion: 2 }]],
    });
  });

  it.each([
    ['engine', true, true, '--stats-source=engine'],
    ['engine', true, false, '--stats-source=engine'],
    ['auto', true, false, 'no cgroup file system is mounted'],
    ['cgroup', true, false, 'no cgroup file system is mounted'],
    ['auto', false, true, 'the Engine is on another machine'],
  ] as const)('for %s is the Engine (local: %s, mounted: %s): %s', async (choice, local, mounted, reason) => {
    expect(await choose(choice, local, mounted)).toEqual({
      ...{ kind: 'engine', visible: false },
      told: [[WORDS, { reason }]],
    });
  });
});

describe('the stats of a daemon', () => {
  it('measure layers through a remote Engine at the configured interval', async () => {
    mockAreMounted = true;
    const store = new WritableStore();
    store.engine = { rootDir: '/data', imageDirectory: '/data/images' } as EngineFacts;
    const sizes: string[] = [];
    const stats = await createNodeStats({
      ...{ choice: 'auto', localEngine: false, heldFiles: 10, store, logger: silentLogger },
      engine: {
        containerStats: () => Promise.resolve(STATS),
        containerSize: (id) => Promise.resolve(sizes.push(id)),
      },
      overrides: {
        layerTimes: { shortest: 1, longest: 1 },
        startWorker: () => {
          throw new Error('no thread is needed');
        },
      },
    });
    stats.start();
    const container = runningContainer();
    store.containers.put(container);
    await until(() => sizes.length > 2, 'the measurements');
    const { usage, layer } = await stats.ofContainer(container);
    expect(usage?.memory?.workingSet).toBe(600);
    expect(layer).toEqual({
      timestamp: expect.any(Long) as Long,
      mountpoint: '/data/images',
      usedBytes: expect.any(Number) as number,
    });
    await stats.close();
  });
});
