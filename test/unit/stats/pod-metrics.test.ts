import Long from 'long';
import { abortable } from '../../../src/lib/async/abortable';
import { silentLogger } from '../../../src/lib/logger';
import { NamespaceMode } from '../../../src/proto/enums';
import type { DiskWork, OpenFiles } from '../../../src/stats/disk/disk-work';
import { LayerBudget } from '../../../src/stats/disk/layer-budget';
import { BASE_LABELS, type MetricSample } from '../../../src/stats/metrics/metric';
import { PodMetricsReader } from '../../../src/stats/metrics/pod-metrics';
import type { InterfaceReading, Target, TargetDetail, UsageSource } from '../../../src/stats/readings';
import { WritableStore } from '../../../src/store/store';
import { gate, settle, until } from '../support/async';
import { containerRecord, engineId, imageRecord, sandboxRecord } from '../support/records';

const DISK = { major: '8', minor: '0', readBytes: 1, writeBytes: 2, reads: 3, writes: 4 };
const DEVICE = '8:0';
const mockProc = new Map<string, string>();
jest.mock('../../../src/node/disk/files', () => ({
  readText: (path: string) => Promise.resolve(mockProc.get(path)),
}));
jest.mock('node:fs/promises', () => ({
  stat: () => Promise.resolve({ dev: 0x800 }),
  statfs: () => Promise.resolve({ blocks: 10, bsize: 4096, files: 20, ffree: 5 }),
}));

const detail = (cgroup: string, tasks: number): TargetDetail => ({
  ...{ cgroup, usage: {}, tasks, devices: [DISK], hugePages: [] },
});
const traffic = (name: string, rxBytes: number): InterfaceReading => ({
  ...{ name, rxBytes, rxPackets: 0, rxErrors: 0, rxDropped: 0 },
  ...{ txBytes: 0, txPackets: 0, txErrors: 0, txDropped: 0 },
});

const image = imageRecord({ repoTags: ['busybox:1'] });
const pod = sandboxRecord();
const app = containerRecord({ state: 'running', pid: 200, imageId: image.id, image: 'busybox:1' });

/** A source whose readings a test may replace. */
class FakeSource implements UsageSource {
  readonly signals: (AbortSignal | undefined)[] = [];
  details = new Map<string, TargetDetail>([
    [pod.id, detail('/pod/pause', 1)],
    [app.id, detail('/pod/app', 2)],
  ]);
  podDetails: TargetDetail | undefined = detail('/pod', 3);
  pids: readonly number[] | undefined = [200, 201];
  all: readonly InterfaceReading[] | undefined = [traffic('lo', 1), traffic('eth0', 2), traffic('net1', 3)];
  name: string | undefined = '/pod/pause';

  detail({ id }: Target, signal?: AbortSignal): Promise<TargetDetail | undefined> {
    this.signals.push(signal);
    return Promise.resolve(this.details.get(id));
  }
  podDetail(_: Target, signal?: AbortSignal): Promise<TargetDetail | undefined> {
    this.signals.push(signal);
    return Promise.resolve(this.podDetails);
  }
  processes(_: Target, signal?: AbortSignal): Promise<readonly number[] | undefined> {
    this.signals.push(signal);
    return Promise.resolve(this.pids);
  }
  interfaces(_: Target, signal?: AbortSignal): Promise<readonly InterfaceReading[] | undefined> {
    this.signals.push(signal);
    return Promise.resolve(this.all);
  }
  cgroupName = (): Promise<string | undefined> => Promise.resolve(this.name);
  usage = (): Promise<undefined> => Promise.resolve(undefined);
  podUsage = this.usage;
  watch = this.usage;
  forget = this.usage;
  close = this.usage;
}

describe('the samples of a pod', () => {
  let store: WritableStore;
  let source: FakeSource;
  let layers: LayerBudget;
  let work: jest.Mocked<DiskWork>;
  let reader: PodMetricsReader;

  beforeEach(async () => {
    mockProc.clear();
    mockProc.set('/proc/diskstats', '   8       0 sda 1 2 3\n');
    mockProc.set(
      '/proc/200/limits',
      'Max open files            1024                 4096                 files\n',
    );
    store = new WritableStore();
    store.images.put(image);
    store.sandboxes.put(pod);
    store.containers.put(app);
    source = new FakeSource();
    const reading = { timestamp: Long.ONE, mountpoint: '/', usedBytes: 77 };
    layers = new LayerBudget(
      () => Promise.resolve({ reading, costMs: 0, directory: '/layers/app' }),
      silentLogger,
    );
    layers.start();
    layers.add(app);
    await settle();
    work = {
      measure: jest.fn<Promise<undefined>, [string]>(),
      openFiles: jest.fn<Promise<OpenFiles>, [readonly number[]]>(() =>
        Promise.resolve({ files: 31, sockets: 32 }),
      ),
      close: jest.fn<Promise<void>, []>(),
    };
    reader = new PodMetricsReader({ store, source, layers, work });
  });
  afterEach(() => layers.close());

  const own = ({ labelValues }: MetricSample): readonly string[] => labelValues.slice(BASE_LABELS.length);
  const identities = (samples: readonly MetricSample[]): object[] => {
    const all = samples.map(({ labelValues }) => JSON.stringify(labelValues.slice(0, BASE_LABELS.length)));
    return [...new Set(all)].map((text): object =>
      Object.fromEntries(
        (JSON.parse(text) as string[]).map((value, at) => [String(BASE_LABELS[at]), value] as const),
      ),
    );
  };
  const valuesOf = (samples: readonly MetricSample[], name: string): unknown[] =>
    samples.flatMap((one) => (one.name === `container_${name}` ? [[...own(one), one.value].join(' ')] : []));
  const readOne = async (signal?: AbortSignal) => {
    const [first, ...others] = await reader.read(signal);
    expect(others).toEqual([]);
    if (first === undefined) throw new Error('there is no pod');
    return first;
  };

  it('say to what they belong: the cgroup of the pod, its network, or a container', async () => {
    const { sandboxId, samples, containers } = await readOne();
    const about = { image: '', namespace: 'shop', pod: 'web' };
    expect(sandboxId).toBe(pod.id);
    expect(identities(samples)).toEqual([
      { ...about, container: '', id: '/pod', name: '' },
      { ...about, container: 'POD', id: '/pod/pause', name: pod.engineName },
    ]);
    expect(containers.map(({ containerId }) => containerId)).toEqual([app.id]);
    expect(identities(containers[0]?.samples ?? [])).toEqual([
      { ...about, container: 'app', id: '/pod/app', image: 'busybox', name: app.engineName },
    ]);
  });

  it('contain the known values, devices by their names, and traffic without loopback', async () => {
    const { samples, containers } = await readOne();
    const [{ samples: ofApp } = { samples: [] }] = containers;
    expect(valuesOf(samples, 'threads')).toEqual(['3']);
    expect(valuesOf(samples, 'blkio_device_usage_total')).toEqual([
      '/dev/sda 8 0 Read 1',
      '/dev/sda 8 0 Write 2',
    ]);
    expect(valuesOf(samples, 'network_receive_bytes_total')).toEqual(['eth0 2', 'net1 3']);
    const told = Object.fromEntries(
      [
        ...['threads', 'blkio_device_usage_total', 'processes', 'file_descriptors', 'sockets'],
        ...['ulimits_soft', 'fs_usage_bytes', 'fs_limit_bytes', 'fs_inodes_total', 'fs_inodes_free'],
        'fs_writes_total',
      ].map((name) => [name, valuesOf(ofApp, name)]),
    );
    expect(told).toEqual({
      threads: ['2'],
      blkio_device_usage_total: ['/dev/sda 8 0 Read 1', '/dev/sda 8 0 Write 2'],
      processes: ['2'],
      file_descriptors: ['31'],
      sockets: ['32'],
      ulimits_soft: ['max_open_files 1024'],
      fs_usage_bytes: ['/dev/sda 77'],
      fs_limit_bytes: ['/dev/sda 40960'],
      fs_inodes_total: ['/dev/sda 20'],
      fs_inodes_free: ['/dev/sda 5'],
      fs_writes_total: ['/dev/sda 4'],
    });
    expect(work.openFiles.mock.calls).toEqual([[[200, 201]]]);
    const [seen] = valuesOf(ofApp, 'last_seen');
    expect(Math.abs(Number(seen) - Date.now() / 1000)).toBeLessThan(60);
    expect(Number.isInteger(Number(seen))).toBe(true);
  });

  it('are empty for a pod that does not run', async () => {
    store.sandboxes.put({ ...pod, id: engineId('a2'), state: 'exited', pid: 0 });
    store.containers.put({ ...app, state: 'exited', pid: 0 });
    expect((await readOne()).containers).toEqual([]);
    store.sandboxes.put({ ...pod, state: 'exited', pid: 0 });
    expect(await reader.read()).toEqual([]);
  });

  it('are those of the other containers if one is removed meanwhile', async () => {
    const other = { ...app, id: engineId('c2'), pid: 300 };
    store.containers.put(other);
    source.details.set(other.id, detail('/pod/other', 9)).delete(app.id);
    jest.spyOn(layers, 'whenMeasured').mockResolvedValue(undefined);
    const { containers } = await readOne();
    expect(containers.map(({ containerId }) => containerId)).toEqual([other.id]);
    expect(work.openFiles.mock.calls).toHaveLength(1);
  });

  it('omit the cgroup if the pod has none of its own, or if it is gone', async () => {
    source.podDetails = undefined;
    expect(identities((await readOne()).samples)).toMatchObject([{ container: 'POD' }]);
    source.podDetails = detail('/docker', 3);
    store.sandboxes.put({ ...pod, cgroupParent: '' });
    expect(identities((await readOne()).samples)).toMatchObject([{ container: 'POD' }]);
  });

  it('omit traffic on the network of the node, and if it cannot be seen', async () => {
    source.all = undefined;
    expect(valuesOf((await readOne()).samples, 'network_receive_bytes_total')).toEqual([]);
    source.all = [traffic('eth0', 2)];
    source.name = undefined;
    expect(identities((await readOne()).samples)[1]).toMatchObject({ container: 'POD', id: '' });
    store.sandboxes.put({ ...pod, namespaces: { ...pod.namespaces, network: NamespaceMode.NODE } });
    expect(valuesOf((await readOne()).samples, 'network_receive_bytes_total')).toEqual([]);
  });

  it('omit processes and their files if those cannot be seen', async () => {
    source.pids = undefined;
    const [{ samples: ofApp } = { samples: [] }] = (await readOne()).containers;
    for (const name of ['processes', 'file_descriptors', 'sockets', 'ulimits_soft'])
      expect(valuesOf(ofApp, name)).toEqual([]);
    expect(valuesOf(ofApp, 'threads')).toEqual(['2']);
    expect(work.openFiles.mock.calls).toEqual([]);
  });

  it('omit open files if they cannot be counted, and have -1 for no limit', async () => {
    work.openFiles.mockRejectedValue(new Error('the disk worker is closed'));
    mockProc.set(
      '/proc/200/limits',
      'Max open files            unlimited            unlimited            files\n',
    );
    const [{ samples: ofApp } = { samples: [] }] = (await readOne()).containers;
    expect(valuesOf(ofApp, 'file_descriptors')).toEqual([]);
    expect(valuesOf(ofApp, 'ulimits_soft')).toEqual(['max_open_files -1']);
    expect(valuesOf(ofApp, 'processes')).toEqual(['2']);
    mockProc.delete('/proc/200/limits');
    const [{ samples: again } = { samples: [] }] = (await readOne()).containers;
    expect(valuesOf(again, 'ulimits_soft')).toEqual([]);
  });

  it('wait a second for layers that were never measured, and then omit them', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    try {
      const asked: string[] = [];
      jest.spyOn(layers, 'whenMeasured').mockImplementation((id, signal) => {
        asked.push(id);
        return abortable(new Promise(() => undefined), signal);
      });
      let isThere = false;
      const read = readOne().then((one) => {
        isThere = true;
        return one;
      });
      await until(() => asked.length > 0, 'the wait');
      await jest.advanceTimersByTimeAsync(999);
      await settle();
      expect([asked, isThere]).toEqual([[app.id], false]);
      await jest.advanceTimersByTimeAsync(1);
      expect((await read).containers).toHaveLength(1);
      await layers.close();
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });

  it('stop with the call, during the wait for layers and during the count of files', async () => {
    const first = new AbortController();
    const why = new Error('the client has left');
    const waits = jest
      .spyOn(layers, 'whenMeasured')
      .mockImplementation((_, signal) => abortable(new Promise(() => undefined), signal));
    const early = reader.read(first.signal);
    first.abort(why);
    await expect(early).rejects.toBe(why);
    waits.mockRestore();

    const second = new AbortController();
    const counted = gate<OpenFiles>();
    work.openFiles.mockReturnValue(counted.promise);
    const late = reader.read(second.signal);
    late.catch(() => undefined);
    await until(() => work.openFiles.mock.calls.length > 0, 'the count');
    second.abort(why);
    await expect(late).rejects.toBe(why);
    expect(new Set(source.signals)).toEqual(new Set([second.signal]));
  });

  it('do not count files once the call has ended', async () => {
    const call = new AbortController();
    const why = new Error('the client has left');
    jest.spyOn(source, 'processes').mockImplementation(() => {
      call.abort(why);
      return Promise.resolve([200]);
    });
    await expect(reader.read(call.signal)).rejects.toBe(why);
    expect(work.openFiles.mock.calls).toEqual([]);
  });

  it('name the device of a file system by its number if nothing else is known', async () => {
    mockProc.delete('/proc/diskstats');
    const [{ samples: ofApp } = { samples: [] }] = (await readOne()).containers;
    expect(valuesOf(ofApp, 'fs_limit_bytes')).toEqual([`${DEVICE} 40960`]);
    expect(valuesOf(ofApp, 'fs_writes_total')).toEqual([`${DEVICE} 4`]);
    mockProc.set('/proc/self/mountinfo', '25 1 8:0 / / rw - btrfs /dev/mapper/pool rw\n');
    const [{ samples: mounted } = { samples: [] }] = (await readOne()).containers;
    expect(valuesOf(mounted, 'fs_limit_bytes')).toEqual(['/dev/mapper/pool 40960']);
    expect(valuesOf(mounted, 'fs_writes_total')).toEqual([`${DEVICE} 4`]);
  });
});
