import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { cri, Decoded } from '../../src/proto';
import { MetricType } from '../../src/proto/enums';
import { cpuShare, kernelLimits, podGroup, type PodGroup } from './support/cgroups';
import { TestDaemon } from './support/daemon';
import { containerConfig, exec, output, podConfig, runPod, startedContainer } from './support/pods';

const MIB = 2 ** 20;
/**
 * The series of kubelet's /metrics/cadvisor. critest requires all of them, and values for all except the
 * device counters.
 */
const NAMES = `blkio_device_usage_total cpu_cfs_periods_total cpu_cfs_throttled_periods_total
  cpu_cfs_throttled_seconds_total cpu_system_seconds_total cpu_usage_seconds_total cpu_user_seconds_total
  file_descriptors fs_inodes_free fs_inodes_total fs_limit_bytes fs_reads_bytes_total fs_reads_total fs_usage_bytes
  fs_writes_bytes_total fs_writes_total hugetlb_max_usage_bytes hugetlb_usage_bytes last_seen memory_cache
  memory_failcnt memory_failures_total memory_kernel_usage memory_mapped_file memory_max_usage_bytes memory_rss
  memory_swap memory_usage_bytes memory_working_set_bytes network_receive_bytes_total network_receive_errors_total
  network_receive_packets_dropped_total network_receive_packets_total network_transmit_bytes_total
  network_transmit_errors_total network_transmit_packets_dropped_total network_transmit_packets_total
  oom_events_total pressure_cpu_stalled_seconds_total pressure_cpu_waiting_seconds_total
  pressure_io_stalled_seconds_total pressure_io_waiting_seconds_total pressure_memory_stalled_seconds_total
  pressure_memory_waiting_seconds_total processes sockets spec_cpu_period spec_cpu_quota spec_cpu_shares
  spec_memory_limit_bytes spec_memory_reservation_limit_bytes spec_memory_swap_limit_bytes start_time_seconds
  threads threads_max ulimits_soft`
  .split(/\s+/)
  .map((name) => `container_${name}`);
/** Series of devices need reads or writes that reach a disk. cgroup v1 may have no huge pages, and has no pressure. */
const MAY_BE_ABSENT = /blkio_device|fs_(reads|writes)|hugetlb|pressure/;

type Metric = Decoded<cri.IMetric>;

describe('metrics of pods', () => {
  let test: TestDaemon;
  let group: PodGroup;
  let pod: string;
  let container: string;
  let keys: Map<string, string[]>;
  beforeAll(async () => {
    test = await TestDaemon.start();
    group = await podGroup(`dockbridge-test-${process.pid}`);
    const config = podConfig(test, { linux: { cgroup_parent: group.cgroupParent } });
    pod = await runPod(test, config);
    const limits = {
      cpu_period: 100_000,
      cpu_quota: 20_000,
      cpu_shares: 512,
      memory_limit_in_bytes: 64 * MIB,
      memory_swap_limit_in_bytes: 64 * MIB,
    };
    // The container has a listening socket, a shell and the shell's child.
    const script = 'nc -l -p 7001 > /dev/null & while :; do :; done';
    container = await startedContainer(
      test,
      pod,
      containerConfig('main', script, { linux: { resources: limits } }),
    );
    const { descriptors } = await test.client.call('ListMetricDescriptors', {});
    keys = new Map(descriptors.map(({ name, label_keys }) => [name, label_keys]));
  });
  afterAll(async () => {
    await test.stop();
    await group.remove();
  });

  async function metrics(): Promise<{ pod: Metric[]; container: Metric[] }> {
    const { pod_metrics } = await test.client.call('ListPodSandboxMetrics', {});
    const own = pod_metrics.find(({ pod_sandbox_id }) => pod_sandbox_id === pod);
    const of = own?.container_metrics.find(({ container_id }) => container_id === container);
    return { pod: own?.metrics ?? [], container: of?.metrics ?? [] };
  }
  const labels = ({ name, label_values }: Metric): Record<string, string> =>
    Object.fromEntries((keys.get(name) ?? []).map((key, at) => [key, label_values[at] ?? '']));
  /** Returns the value of the only sample with that name and these labels. */
  function value(all: Metric[], name: string, wanted: Record<string, string> = {}): number {
    const found = all.filter(
      (metric) =>
        metric.name === `container_${name}` &&
        Object.entries(wanted).every(([key, text]) => labels(metric)[key] === text),
    );
    expect(found.map(labels)).toHaveLength(1);
    return Number(found[0]?.value?.value);
  }

  it("have cAdvisor's names, each with help and labels", async () => {
    const { descriptors } = await test.client.call('ListMetricDescriptors', {});
    expect(descriptors.map(({ name }) => name).sort()).toEqual([...NAMES].sort());
    for (const { help, label_keys } of descriptors) {
      expect(help).toMatch(/\w.*\.$/);
      expect(label_keys.slice(0, 6)).toEqual(['container', 'id', 'image', 'name', 'namespace', 'pod']);
    }
  });

  it('have a value for each descriptor, with as many labels as keys', async () => {
    const all = await metrics();
    const found = [...all.pod, ...all.container];
    const missing = NAMES.filter(
      (name) => !MAY_BE_ABSENT.test(name) && !found.some((metric) => metric.name === name),
    );
    expect(missing).toEqual([]);
    for (const { name, label_values, timestamp } of found) {
      expect(label_values).toHaveLength(keys.get(name)?.length ?? -1);
      expect(timestamp.isZero()).toBe(true);
    }
  });

  it('name their pod and container', async () => {
    const all = await metrics();
    const record = test.daemon.store.containers.get(container);
    const sandbox = test.daemon.store.sandboxes.get(pod);
    const usage = all.container.find(({ name }) => name === 'container_memory_usage_bytes');
    expect(usage && labels(usage)).toEqual({
      container: 'main',
      id: group.of(container),
      image: 'dockbridge.test/busybox:1',
      name: record?.engineName,
      namespace: 'test',
      pod: sandbox?.metadata.name,
    });
    const own = all.pod.find(({ name }) => name === 'container_memory_usage_bytes');
    expect(own && labels(own)).toMatchObject({ container: '', id: group.path, image: '', name: '' });
    const traffic = all.pod.find(({ name }) => name === 'container_network_receive_bytes_total');
    expect(traffic && labels(traffic)).toMatchObject({ container: 'POD', interface: 'eth0' });
  });

  it('agree with the kernel', async () => {
    // The container works for some seconds at a fifth of a processor, because CRI's integers are whole seconds.
    let all = await metrics();
    while (value(all.container, 'cpu_usage_seconds_total', { cpu: 'total' }) < 1) all = await metrics();
    const { container: of } = all;
    const limits = await kernelLimits(container);
    expect(value(of, 'spec_memory_limit_bytes')).toBe(limits.memory);
    expect(value(of, 'spec_memory_swap_limit_bytes')).toBe(limits.memorySwap);
    expect(limits).toMatchObject(cpuShare(value(of, 'spec_cpu_shares')));
    expect(value(of, 'spec_cpu_quota')).toBe(limits.cpuQuota);
    expect(value(of, 'spec_cpu_period')).toBe(limits.cpuPeriod);
    expect(value(of, 'cpu_cfs_throttled_periods_total')).toBeGreaterThan(5);
    expect(value(of, 'cpu_cfs_periods_total')).toBeGreaterThanOrEqual(
      value(of, 'cpu_cfs_throttled_periods_total'),
    );
    expect(value(of, 'processes')).toBe(2);
    expect(value(of, 'threads')).toBe(2);
    expect(value(of, 'sockets')).toBe(1);
    const inside = await output(
      test,
      container,
      'ls /proc/1/fd /proc/[0-9]*/fd 2>/dev/null | wc -l; ulimit -n',
    );
    const [files = '', openFiles = ''] = inside.split('\n');
    expect(value(of, 'file_descriptors')).toBeLessThanOrEqual(Number(files));
    expect(value(of, 'file_descriptors')).toBeGreaterThanOrEqual(7);
    expect(value(of, 'ulimits_soft', { ulimit: 'max_open_files' })).toBe(Number(openFiles));
    const started = test.daemon.store.containers.get(container)?.startedAt.div(1e9).toNumber();
    expect(value(of, 'start_time_seconds')).toBe(started);
    expect(Math.abs(value(of, 'last_seen') - Date.now() / 1000)).toBeLessThan(60);
    const { stdout } = await promisify(execFile)('df', ['-k', '--output=source,size', '/var/tmp']);
    const [device = '', size = ''] = stdout.trim().split('\n')[1]?.split(/\s+/) ?? [];
    expect(value(of, 'fs_limit_bytes', { device })).toBe(Number(size) * 1024);
  });

  it('have the type COUNTER if they never fall, and GAUGE otherwise', async () => {
    const { container: of } = await metrics();
    const type = (name: string): MetricType | undefined =>
      of.find((metric) => metric.name === `container_${name}`)?.metric_type;
    expect(type('cpu_usage_seconds_total')).toBe(MetricType.COUNTER);
    expect(type('memory_working_set_bytes')).toBe(MetricType.GAUGE);
  });

  it('of disks are reported for each device', async () => {
    await exec(test, container, 'head -c 3000000 /dev/zero > /file; sync; sync');
    const { container: of } = await metrics();
    const written = of.filter(({ name }) => name === 'container_fs_writes_bytes_total');
    for (const metric of written) expect(labels(metric).device).toMatch(/^\/dev\//);
    const usage = of.filter(({ name }) => name === 'container_blkio_device_usage_total');
    expect(usage).toHaveLength(written.length * 2);
  });

  it('cost no Engine call', async () => {
    expect(await test.countEngineCalls(metrics)).toEqual({});
  });
});
