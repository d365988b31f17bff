import Long from 'long';
import { silentLogger } from '../../../src/lib/logger';
import { NamespaceMode } from '../../../src/proto/enums';
import type { DiskWork } from '../../../src/stats/disk/disk-work';
import { LayerBudget } from '../../../src/stats/disk/layer-budget';
import { NodeStats } from '../../../src/stats/node-stats';
import {
  ReadingClock,
  type InterfaceReading,
  type UsageReading,
  type Target,
  type UsageSource,
} from '../../../src/stats/readings';
import { WritableStore } from '../../../src/store/store';
import { settle } from '../support/async';
import { engineId, runningContainer, sandboxRecord } from '../support/records';

const TIME = Long.fromNumber(1_700_000_000_000).multiply(1_000_000);
const pod = sandboxRecord();
const app = runningContainer();
const side = runningContainer({ id: engineId('c2'), engineName: 'c2', pid: 201 });
const usageOf = (nanos: number): UsageReading => ({
  cpu: { timestamp: Long.fromNumber(nanos), usageNanos: Long.fromNumber(nanos, true) },
  memory: { timestamp: Long.fromNumber(nanos), usage: nanos, workingSet: nanos },
});
const traffic = (name: string): InterfaceReading => ({
  ...{ name, rxBytes: 1, rxPackets: 2, rxErrors: 3, rxDropped: 4 },
  ...{ txBytes: 5, txPackets: 6, txErrors: 7, txDropped: 8 },
});
const LAYER = { timestamp: Long.ONE, mountpoint: '/', usedBytes: 77 };

/** Records the calls in order: `method id pid`. */
class FakeSource implements UsageSource {
  readonly asked: string[] = [];
  readonly signals = new Set<AbortSignal | undefined>();
  usages = new Map([
    [pod.id, usageOf(1)],
    [app.id, usageOf(20)],
    [side.id, usageOf(300)],
  ]);
  own: UsageReading | undefined = usageOf(4_000);
  all: readonly InterfaceReading[] | undefined = [traffic('lo'), traffic('net1'), traffic('eth0')];
  pids = new Map([
    [pod.id, [100]],
    [app.id, [200, 205]],
  ]);
  watching: Promise<void> = Promise.resolve();

  private note(method: string, { id, pid }: Target, signal?: AbortSignal): void {
    this.asked.push(`${method} ${id.slice(0, 2)} ${pid}`);
    this.signals.add(signal);
  }
  usage(target: Target, signal?: AbortSignal): Promise<UsageReading | undefined> {
    this.note('usage', target, signal);
    return Promise.resolve(this.usages.get(target.id));
  }
  podUsage(target: Target, signal?: AbortSignal): Promise<UsageReading | undefined> {
    this.note('pod', target, signal);
    return Promise.resolve(this.own);
  }
  interfaces(target: Target, signal?: AbortSignal): Promise<readonly InterfaceReading[] | undefined> {
    this.note('interfaces', target, signal);
    return Promise.resolve(this.all);
  }
  processes(target: Target, signal?: AbortSignal): Promise<readonly number[] | undefined> {
    this.note('processes', target, signal);
    return Promise.resolve(this.pids.get(target.id));
  }
  watch(target: Target): Promise<void> {
    this.asked.push(`watch ${target.id.slice(0, 2)} ${target.pid}`);
    return this.watching;
  }
  forget(id: string): Promise<void> {
    return Promise.resolve(void this.asked.push(`forget ${id.slice(0, 2)}`));
  }
  close(): Promise<void> {
    return Promise.resolve(void this.asked.push('close'));
  }
  detail = (): Promise<undefined> => Promise.resolve(undefined);
  podDetail = this.detail;
  cgroupName = this.detail;
}

describe('the stats of a node', () => {
  let store: WritableStore;
  let source: FakeSource;
  let layers: LayerBudget;
  let closed: string[];
  let debug: jest.Mock;
  let stats: NodeStats;
  const { signal } = new AbortController();

  beforeEach(() => {
    store = new WritableStore();
    source = new FakeSource();
    closed = [];
    layers = new LayerBudget(() => Promise.resolve({ reading: LAYER, costMs: 0 }), silentLogger);
    const work = { close: () => Promise.resolve(void closed.push('work')) } as unknown as DiskWork;
    debug = jest.fn();
    stats = new NodeStats({
      ...{ store, source, layers, work, clock: new ReadingClock(() => 1_700_000_000_000) },
      logger: { ...silentLogger, debug },
    });
  });
  afterEach(() => stats.close());

  function fill(): void {
    store.sandboxes.put(pod);
    for (const container of [app, side]) store.containers.put(container);
  }
  const said = (): string[] => source.asked.splice(0);

  it('have for a pod its cgroup, network, processes and containers', async () => {
    fill();
    expect(await stats.ofPod(pod, signal)).toEqual({
      sandbox: pod,
      usage: usageOf(4_000),
      containers: [
        { container: app, usage: usageOf(20), layer: undefined },
        { container: side, usage: usageOf(300), layer: undefined },
      ],
      network: { timestamp: TIME, defaultInterface: traffic('eth0'), others: [traffic('net1')] },
      processes: { timestamp: TIME.add(1), count: 3 },
    });
    expect(said().sort()).toEqual([
      ...['interfaces a1 100', 'pod a1 100', 'processes a1 100', 'processes c1 200', 'processes c2 201'],
      ...['usage c1 200', 'usage c2 201'],
    ]);
    expect([...source.signals]).toEqual([signal]);
    const other = { ...pod, id: engineId('a2'), engineName: 'a2', state: 'exited', pid: 0 } as const;
    expect(await stats.ofPods([other, pod], signal)).toMatchObject([{ sandbox: other }, { sandbox: pod }]);
  });

  it('have for a pod with an unreadable cgroup the sum of its containers and its sandbox', async () => {
    fill();
    source.own = undefined;
    const { usage } = await stats.ofPod(pod, signal);
    expect([usage?.cpu?.usageNanos.toNumber(), usage?.memory?.usage]).toEqual([321, 321]);
    source.usages.delete(pod.id);
    expect((await stats.ofPod(pod)).usage?.memory?.usage).toBe(320);
  });

  it('do not read for a pod a cgroup that it shares with all others', async () => {
    const shared = { ...pod, cgroupParent: '' };
    store.sandboxes.put(shared);
    await stats.ofPod(shared);
    expect(said()).not.toContain('pod a1 100');
  });

  it('omit for a pod what cannot be seen, and the network of the node', async () => {
    fill();
    source.pids.clear();
    source.all = undefined;
    expect(await stats.ofPod(pod)).toMatchObject({ network: undefined, processes: undefined });
    source.all = [traffic('eth0')];
    const onNode = { ...pod, namespaces: { ...pod.namespaces, network: NamespaceMode.NODE } };
    store.sandboxes.put(onNode);
    expect((await stats.ofPod(onNode)).network).toBeUndefined();
  });

  it('have only the record and the known layer for a container that does not run', async () => {
    const ended = { ...app, state: 'exited', pid: 0 } as const;
    const endedPod = { ...pod, state: 'exited', pid: 0 } as const;
    store.containers.put(ended);
    jest.spyOn(layers, 'reading').mockReturnValue(LAYER);
    expect(await stats.ofPod(endedPod)).toEqual({ sandbox: endedPod, containers: [] });
    expect(await stats.ofContainer(ended)).toEqual({ container: ended, usage: undefined, layer: LAYER });
    expect(await stats.ofContainers([ended, app])).toEqual([
      { container: app, usage: usageOf(20), layer: LAYER },
    ]);
    source.usages.clear();
    expect(await stats.ofContainers([app])).toEqual([]);
    expect(said()).toEqual(['usage c1 200', 'usage c1 200']);
  });

  it('watch containers that start and forget those that end', async () => {
    stats.start();
    const [add, end, forget] = (['add', 'end', 'forget'] as const).map((name) => jest.spyOn(layers, name));
    fill();
    store.containers.put({ ...app, labels: { a: '1' } });
    expect(said()).toEqual(['watch a1 100', 'pod a1 100', 'watch c1 200', 'watch c2 201']);
    expect(add!.mock.calls).toEqual([[{ id: app.id, pid: 200 }], [{ id: side.id, pid: 201 }]]);
    store.containers.put({ ...app, pid: 209 });
    expect([said(), add!.mock.calls.at(-1)]).toEqual([['watch c1 209'], [{ id: app.id, pid: 209 }]]);
    store.containers.put({ ...app, state: 'exited', pid: 0 });
    expect([said(), end!.mock.calls, forget!.mock.calls]).toEqual([['forget c1'], [[app.id]], []]);
    store.containers.delete(app.id);
    expect([said(), forget!.mock.calls]).toEqual([[], [[app.id]]]);
    store.containers.delete(side.id);
    expect([said(), forget!.mock.calls]).toEqual([['forget c2'], [[app.id], [side.id]]]);
    store.sandboxes.put({ ...pod, state: 'exited', pid: 0 });
    store.sandboxes.delete(pod.id);
    expect(said()).toEqual(['forget a1']);
    await settle();
    expect(debug).not.toHaveBeenCalled();
  });

  it('continue when a first reading fails', async () => {
    stats.start();
    source.watching = Promise.reject(new Error('no such file'));
    store.containers.put(app);
    await settle();
    expect(debug).toHaveBeenCalledTimes(1);
  });

  it('watch nothing once they are closed, and close what they use', async () => {
    stats.start();
    const closes = jest.spyOn(layers, 'close');
    await stats.close();
    expect([closes.mock.calls.length, closed, said()]).toEqual([1, ['work'], ['close']]);
    fill();
    expect(said()).toEqual([]);
  });
});
