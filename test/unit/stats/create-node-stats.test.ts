import { silentLogger } from '../../../src/lib/logger';
import { createNodeStats, type StatsChoice } from '../../../src/stats/create-node-stats';
import type { LayerSourceParts } from '../../../src/stats/disk/layer-source';
import type { EngineFacts } from '../../../src/store/records';
import { WritableStore } from '../../../src/store/store';
import { runningContainer } from '../support/records';
import { until } from '../support/async';

const mockParts: LayerSourceParts[] = [];
const mockMeasured: unknown[] = [];
jest.mock('../../../src/stats/disk/layer-source', () => ({
  LayerSource: class {
    constructor(parts: LayerSourceParts) {
      mockParts.push(parts);
    }
    measure(target: unknown, signal: unknown): Promise<undefined> {
      mockMeasured.push([target, signal]);
      return Promise.resolve(undefined);
    }
  },
}));

describe('the parts that measure layers', () => {
  const make = async (choice: StatsChoice, store: WritableStore) => {
    mockParts.length = mockMeasured.length = 0;
    const started: unknown[] = [];
    const stats = await createNodeStats({
      ...{ choice, localEngine: true, heldFiles: 10, store, logger: silentLogger },
      engine: {
        containerStats: () => Promise.reject(new Error('not asked for')),
        containerSize: () => Promise.reject(new Error('not asked for')),
      },
      overrides: {
        startWorker: (entry, { name }) => {
          started.push([entry.replace(/^.*\/src\//, ''), name]);
          throw new Error('no thread');
        },
      },
    });
    const [parts] = mockParts;
    if (parts === undefined) throw new Error('there is no source of layers');
    return { stats, parts, started };
  };

  it("know the Engine's directories once it has reported them, and start their thread on demand", async () => {
    const store = new WritableStore();
    const { stats, parts, started } = await make('engine', store);
    expect([parts.visible, parts.rootDir(), parts.imageDirectory()]).toEqual([false, '', '']);
    store.engine = { rootDir: '/data', imageDirectory: '/data/images' } as EngineFacts;
    expect([parts.rootDir(), parts.imageDirectory()]).toEqual(['/data', '/data/images']);
    expect(started).toEqual([]);
    await expect(parts.work.measure('/x')).rejects.toThrow('no thread');
    expect(started).toEqual([['stats/disk/worker-entry.ts', 'dockbridge-disk']]);
    const times = [parts.clock.now(), parts.clock.now()];
    expect(times[0]?.equals(times[1] ?? 0)).toBe(false);
    await stats.close();
  });

  it('measure the running containers', async () => {
    const store = new WritableStore();
    const { stats } = await make('engine', store);
    stats.start();
    const container = runningContainer();
    store.containers.put(container);
    await until(() => mockMeasured.length > 0, 'the measurement');
    expect(mockMeasured).toEqual([[{ id: container.id, pid: 200 }, expect.any(AbortSignal) as AbortSignal]]);
    await stats.close();
  });
});
