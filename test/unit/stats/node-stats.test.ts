import Long from 'long';
import { silentLogger } from '../../../src/lib/logger';
import { NamespaceMode } from '../../../src/proto/enums';
import { InThreadDiskWork } from '../../../src/stats/disk/disk-work';
import { LayerBudget } from '../../../src/stats/disk/layer-budget';
import { BASE_LABELS } from '../../../src/stats/metrics/metric';
import { PodMetricsReader } from '../../../src/stats/metrics/pod-metrics';
import { NodeStats } from '../../../src/stats/node-stats';
import { ReadingClock, type UsageReading, type Target, type UsageSource } from '../../../src/stats/readings';
import { WritableStore } from '../../../src/store/store';
import { containerRecord, engineId, imageRecord, sandboxRecord } from '../support/records';

const clock = new ReadingClock(() => 1_700_000_000_000);

/** A source with the given processor time. `onRead` runs during the reading. */
class FakeSource implements UsageSource {
  readonly used = new Map<string, number>();
  onRead: ((id: string) => void) | undefined;

  async usage({ id }: Target): Promise<UsageReading | undefined> {
    const used = this.used.get(id);
    await Promise.resolve();
    this.onRead?.(id);
    if (used === undefined) return undefined;
    return { cpu: { timestamp: clock.now(), usageNanos: Long.fromNumber(used, true) } };
  }

  cgroupName = nothing;
  detail = nothing;
  podUsage = nothing;
  podDetail = nothing;
  processes = nothing;
  interfaces = nothing;
  watch = nothing;
  forget = nothing;
  close = nothing;
}

function nothing(): Promise<undefined> {
  return Promise.resolve(undefined);
}

describe('a pod without a cgroup parent', () => {
  const pod = sandboxRecord({ cgroupParent: '' });
  const main = containerRecord({ sandboxId: pod.id, state: 'running', pid: 200 });
  let store: WritableStore;
  let source: FakeSource;
  let stats: NodeStats;

  beforeEach(() => {
    store = new WritableStore();
    source = new FakeSource();
    const layers = new LayerBudget(() => Promise.resolve(undefined), silentLogger);
    stats = new NodeStats({
      store,
      source,
      layers,
      work: new InThreadDiskWork(),
      clock,
      logger: silentLogger,
    });
    stats.start();
    store.sandboxes.put(pod);
    store.containers.put(main);
    source.used.set(pod.id, 1);
    source.used.set(main.id, 100);
  });
  afterEach(() => stats.close());

  const used = async (): Promise<number | undefined> =>
    (await stats.ofPod(pod)).usage?.cpu?.usageNanos.toNumber();

  it('keeps the usage of an ended container', async () => {
    expect(await used()).toBe(101);
    store.containers.put({ ...main, state: 'exited', pid: 0 });
    expect(await used()).toBe(101);
  });

  it('counts a container only once if it ends during the reading', async () => {
    expect(await used()).toBe(101);
    source.used.set(main.id, 110);
    source.onRead = (id) => {
      if (id === pod.id) store.containers.put({ ...main, state: 'exited', pid: 0 });
    };
    expect(await used()).toBe(101);
    expect(await used()).toBe(101);
  });

  it('counts a container only once if it is restarted during the reading', async () => {
    expect(await used()).toBe(101);
    source.used.set(main.id, 110);
    source.onRead = (id) => {
      // The reading belongs to the earlier process, which counts as one that has ended.
      if (id === pod.id) store.containers.put({ ...main, pid: 201 });
    };
    expect(await used()).toBe(101);
    source.onRead = undefined;
    source.used.set(main.id, 5);
    expect(await used()).toBe(106);
  });

  it('does not decrease when a container is restarted', async () => {
    expect(await used()).toBe(101);
    store.containers.put({ ...main, pid: 201 });
    source.used.set(main.id, 5);
    expect(await used()).toBe(106);
  });

  it('has no usage once it is gone, and starts again from zero', async () => {
    expect(await used()).toBe(101);
    source.onRead = () => store.sandboxes.delete(pod.id);
    expect(await used()).toBeUndefined();
    store.containers.put({ ...main, state: 'exited', pid: 0 });
    const other = {
      ...pod,
      id: pod.id.replace(/0$/, '1'),
      namespaces: { ...pod.namespaces, network: NamespaceMode.NODE },
    };
    store.sandboxes.put(other);
    source.used.set(other.id, 3);
    expect((await stats.ofPod(other)).usage?.cpu?.usageNanos.toNumber()).toBe(3);
  });
});

describe('the label `image` of a metric', () => {
  it('is the name in ContainerStatus, even if kubelet gave only an id', async () => {
    const imageId = `sha256:${engineId('9')}`;
    const store = new WritableStore();
    store.images.put(imageRecord({ id: imageId, repoTags: ['app:1'] }));
    const pod = sandboxRecord();
    const own = { sandboxId: pod.id, state: 'running', pid: 200, image: imageId, imageId } as const;
    store.sandboxes.put(pod);
    store.containers.put(containerRecord({ ...own, userSpecifiedImage: '' }));
    const source: UsageSource = Object.assign(new FakeSource(), {
      detail: () => Promise.resolve({ cgroup: '/a', devices: [], usage: {}, hugePages: [] }),
    });
    const layers = new LayerBudget(() => Promise.resolve(undefined), silentLogger);
    const work = new InThreadDiskWork();
    const metrics = new PodMetricsReader({ store, source, layers, work });
    jest.spyOn(layers, 'whenMeasured').mockResolvedValue(undefined);
    const [read] = await metrics.read();
    const image = BASE_LABELS.indexOf('image');
    const named = new Set(read?.containers[0]?.samples.map(({ labelValues }) => labelValues[image]));
    expect(named).toEqual(new Set(['app:1']));
  });
});
