import { type LogFields, type Logger, silentLogger } from '../../../src/lib/logger';
import type { EngineFacts } from '../../../src/store/records';
import { WritableStore } from '../../../src/store/store';
import { DiskUsage, type DiskUsageTimes } from '../../../src/sync/disk-usage';
import type { EngineDiskUsage } from '../../../src/engine/types';
import { settle } from '../support/async';
import { imageRecord } from '../support/records';

const TICK = 10_000;
const QUIET = 300_000;

function measuring(
  answer: (signal?: AbortSignal) => Promise<EngineDiskUsage>,
  times?: Partial<DiskUsageTimes>,
) {
  const store = new WritableStore();
  const complaints: unknown[] = [];
  const logger: Logger = {
    ...silentLogger,
    warn: (_: string, fields?: LogFields) => complaints.push(fields),
  };
  let calls = 0;
  const docker = {
    diskUsage: (options?: { signal?: AbortSignal }) => {
      calls++;
      return answer(options?.signal);
    },
  };
  const stop = new AbortController();
  const usage = new DiskUsage({ docker, store, logger, ...(times === undefined ? {} : { times }) });
  const done = usage.run(stop.signal);
  return { usage, store, complaints, done, stop, calls: () => calls };
}

const after = (ms: number) => (): Promise<EngineDiskUsage> =>
  new Promise((resolve) => setTimeout(() => resolve({ LayersSize: 5 }), ms));

describe('DiskUsage', () => {
  beforeEach(() => jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] }));
  afterEach(() => jest.useRealTimers());

  it('measures at once, after changes of images, and from time to time', async () => {
    const { store, calls, stop, done } = measuring(() =>
      Promise.resolve({ LayersSize: 70, Containers: [{ SizeRw: 3 }, {}, { SizeRw: 4 }] }),
    );
    await jest.advanceTimersByTimeAsync(0);
    expect([store.diskUsage, calls()]).toEqual([{ imageBytes: 70, containerBytes: 7 }, 1]);
    await jest.advanceTimersByTimeAsync(QUIET - TICK);
    expect(calls()).toBe(1);
    store.images.put(imageRecord());
    await jest.advanceTimersByTimeAsync(TICK);
    expect(calls()).toBe(2);
    await jest.advanceTimersByTimeAsync(QUIET - TICK);
    expect(calls()).toBe(2);
    await jest.advanceTimersByTimeAsync(TICK);
    expect(calls()).toBe(3);
    stop.abort();
    await done;
    await jest.advanceTimersByTimeAsync(2 * QUIET);
    expect(calls()).toBe(3);
  });

  it.each<[string, EngineDiskUsage, object]>([
    [
      'only sums',
      { ImageUsage: { TotalSize: 70 }, ContainerUsage: { TotalSize: 7 } },
      { imageBytes: 70, containerBytes: 7 },
    ],
    [
      'sums next to the older fields',
      {
        LayersSize: 70,
        Containers: [{ SizeRw: 7 }],
        ImageUsage: { TotalSize: 70 },
        ContainerUsage: { TotalSize: 7 },
      },
      { imageBytes: 70, containerBytes: 7 },
    ],
    ['empty sums', { ImageUsage: {}, ContainerUsage: {} }, { imageBytes: 0, containerBytes: 0 }],
  ])('reads the answers of Engines from 29 on: %s', async (_, answer, expected) => {
    const { store, stop } = measuring(() => Promise.resolve(answer));
    await jest.advanceTimersByTimeAsync(0);
    expect(store.diskUsage).toEqual(expected);
    stop.abort();
  });

  it("subtracts containers' layers from the containerd store's size of images", async () => {
    const { store, stop } = measuring(() =>
      Promise.resolve({ LayersSize: 70, Containers: [{ SizeRw: 30 }] }),
    );
    store.engine = { containerdStore: true } as EngineFacts;
    await jest.advanceTimersByTimeAsync(0);
    expect(store.diskUsage).toEqual({ imageBytes: 40, containerBytes: 30 });
    stop.abort();
  });

  it('rests twenty times as long as it worked, whatever changes', async () => {
    const { store, calls, stop } = measuring(after(60_000));
    await jest.advanceTimersByTimeAsync(60_000);
    expect(store.diskUsage).toEqual({ imageBytes: 5, containerBytes: 0 });
    for (let minute = 1; minute < 20; minute++) {
      store.images.put(imageRecord({ size: minute }));
      await jest.advanceTimersByTimeAsync(60_000);
    }
    expect(calls()).toBe(1);
    await jest.advanceTimersByTimeAsync(60_000 + TICK);
    expect(calls()).toBe(2);
    stop.abort();
  });

  it('rests for exactly twenty times the time of its work when images change', async () => {
    const { store, calls, stop } = measuring(after(1_000));
    await jest.advanceTimersByTimeAsync(1_000);
    store.images.put(imageRecord());
    await jest.advanceTimersByTimeAsync(20_000 - 1);
    expect(calls()).toBe(1);
    await jest.advanceTimersByTimeAsync(1);
    expect(calls()).toBe(2);
    stop.abort();
  });

  it('also rests across a lost connection', async () => {
    const { usage, store, calls, stop, done } = measuring(after(60_000));
    await jest.advanceTimersByTimeAsync(60_000);
    stop.abort();
    await done;
    store.images.put(imageRecord());
    const again = new AbortController();
    const second = usage.run(again.signal);
    await jest.advanceTimersByTimeAsync(19 * 60_000);
    expect(calls()).toBe(1);
    await jest.advanceTimersByTimeAsync(60_000 + TICK);
    expect(calls()).toBe(2);
    again.abort();
    await jest.advanceTimersByTimeAsync(60_000);
    await second;
  });

  it('keeps the last measurement when a later one fails, and continues to measure', async () => {
    let fails = false;
    const { store, calls, stop, complaints } = measuring(() =>
      fails ? Promise.reject(new Error('already running')) : Promise.resolve({ LayersSize: 1 }),
    );
    await jest.advanceTimersByTimeAsync(0);
    fails = true;
    await jest.advanceTimersByTimeAsync(2 * QUIET + TICK);
    expect(calls()).toBe(3);
    expect(store.diskUsage).toEqual({ imageBytes: 1, containerBytes: 0 });
    expect(complaints).toEqual([{ error: 'already running' }, { error: 'already running' }]);
    stop.abort();
  });

  it('measures at the configured interval', async () => {
    const { store, calls, stop } = measuring(() => Promise.resolve({ LayersSize: 1 }), {
      tick: 10,
      quiet: 40,
    });
    await jest.advanceTimersByTimeAsync(39);
    expect(calls()).toBe(1);
    await jest.advanceTimersByTimeAsync(1);
    expect(calls()).toBe(2);
    store.images.put(imageRecord());
    await jest.advanceTimersByTimeAsync(10);
    expect(calls()).toBe(3);
    stop.abort();
    await settle();
    expect(jest.getTimerCount()).toBe(0);
  });

  it('measures once more when images changed during a measurement', async () => {
    const { store, calls, stop } = measuring(async () => {
      await Promise.resolve();
      if (store.images.size === 0) store.images.put(imageRecord());
      return { LayersSize: 1 };
    });
    await jest.advanceTimersByTimeAsync(TICK);
    expect(calls()).toBe(2);
    await jest.advanceTimersByTimeAsync(3 * TICK);
    expect(calls()).toBe(2);
    stop.abort();
  });

  it('ends with its connection, and logs nothing about that', async () => {
    const { done, stop, complaints } = measuring(
      (signal) =>
        new Promise((_, reject) => signal?.addEventListener('abort', () => reject(new Error('given up')))),
    );
    await jest.advanceTimersByTimeAsync(0);
    stop.abort();
    await done;
    expect(complaints).toEqual([]);
    expect(jest.getTimerCount()).toBe(0);
  });

  it.each<[string, EngineDiskUsage, object, boolean]>([
    ['without any field', {}, { imageBytes: undefined, containerBytes: 0 }, false],
    ['without layers', { Containers: [{ SizeRw: 3 }] }, { imageBytes: undefined, containerBytes: 3 }, true],
    [
      'with more for containers than for images',
      { LayersSize: 1, Containers: [{ SizeRw: 3 }] },
      { imageBytes: 0, containerBytes: 3 },
      true,
    ],
    [
      'with both sizes, for images outside the containerd store',
      { LayersSize: 9, Containers: [{ SizeRw: 3 }] },
      { imageBytes: 9, containerBytes: 3 },
      false,
    ],
    [
      'with only sums of images',
      { ImageUsage: { TotalSize: 8 }, LayersSize: 9 },
      { imageBytes: 8, containerBytes: 0 },
      false,
    ],
    [
      'with only sums of containers',
      { ContainerUsage: { TotalSize: 5 }, Containers: [{ SizeRw: 3 }] },
      { imageBytes: undefined, containerBytes: 5 },
      false,
    ],
  ])('interprets an answer of the Engine %s', async (_, answer, expected, containerdStore) => {
    const { store, stop } = measuring(() => Promise.resolve(answer));
    store.engine = { containerdStore } as EngineFacts;
    await jest.advanceTimersByTimeAsync(0);
    expect(store.diskUsage).toEqual(expected);
    stop.abort();
  });
});
