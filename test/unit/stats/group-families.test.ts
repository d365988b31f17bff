import Long from 'long';
import { GROUP_FAMILIES, type GroupInput } from '../../../src/stats/metrics/group-families';
import { BASE_LABELS, sample, type Identity } from '../../../src/stats/metrics/metric';

const IDENTITY: Identity = {
  container: 'app',
  id: '/kubepods/c1',
  image: 'busybox:1',
  name: 'k8s_app',
  namespace: 'shop',
  pod: 'web',
};
const BASE = ['app', '/kubepods/c1', 'busybox:1', 'k8s_app', 'shop', 'web'];

const seconds = (count: number): Long => Long.fromNumber(count * 1e9, true);
const stalled = (some: number, full: number) => ({
  some: { totalNanos: seconds(some), avg10: 0, avg60: 0, avg300: 0 },
  full: { totalNanos: seconds(full), avg10: 0, avg60: 0, avg300: 0 },
});
const at = Long.ONE;

/** Each number occurs once, so no value can stand for another. */
const FULL: GroupInput = {
  usage: {
    cpu: { timestamp: at, usageNanos: seconds(1.5), pressure: stalled(31, 32) },
    memory: {
      ...{ timestamp: at, usage: 7, workingSet: 8, rss: 9 },
      ...{ pageFaults: 19, majorPageFaults: 20, pressure: stalled(33, 34) },
    },
    swap: { timestamp: at, usage: 12 },
    io: { timestamp: at, pressure: stalled(35, 36) },
  },
  ...{ userNanos: seconds(2), systemNanos: seconds(3) },
  ...{ periods: 4, throttledPeriods: 5, throttledNanos: seconds(6) },
  ...{ cache: 10, mappedFile: 11, kernel: 13, maxUsage: 14, limitHits: 15 },
  ...{ ownPageFaults: 17, ownMajorPageFaults: 18, oomKills: 16, tasks: 25, tasksLimit: 26 },
  devices: [
    ...[{ path: '/dev/sda', major: '8', minor: '0', readBytes: 21, writeBytes: 22, reads: 91, writes: 92 }],
    ...[{ path: '/dev/sdb', major: '9', minor: '16', readBytes: 23, writeBytes: 24, reads: 93, writes: 94 }],
  ],
  hugePages: [
    { size: '2MB', usage: 27, maxUsage: 28 },
    { size: '1GB', usage: 29, maxUsage: 30 },
  ],
};

/** The name without its prefix, the family's own labels, and the value. */
const samplesOf = (input: GroupInput): unknown[] =>
  sample(GROUP_FAMILIES, IDENTITY, input).map(({ name, labelValues, value }) => {
    expect([name.slice(0, 10), labelValues.slice(0, BASE.length)]).toEqual(['container_', BASE]);
    return [name.slice(10), ...labelValues.slice(BASE.length), value];
  });

describe('the metric families of a cgroup', () => {
  it('are those of cAdvisor, with their kinds and labels', () => {
    const own = GROUP_FAMILIES.map(({ name, kind, labelKeys }) => {
      expect(labelKeys.slice(0, BASE_LABELS.length)).toEqual(BASE_LABELS);
      return [name, kind, ...labelKeys.slice(BASE_LABELS.length)].join(' ');
    });
    expect(own).toEqual([
      'container_cpu_usage_seconds_total counter cpu',
      'container_cpu_user_seconds_total counter',
      'container_cpu_system_seconds_total counter',
      'container_cpu_cfs_periods_total counter',
      'container_cpu_cfs_throttled_periods_total counter',
      'container_cpu_cfs_throttled_seconds_total counter',
      'container_memory_usage_bytes gauge',
      'container_memory_working_set_bytes gauge',
      'container_memory_rss gauge',
      'container_memory_cache gauge',
      'container_memory_mapped_file gauge',
      'container_memory_swap gauge',
      'container_memory_kernel_usage gauge',
      'container_memory_max_usage_bytes gauge',
      'container_memory_failcnt counter',
      'container_memory_failures_total counter failure_type scope',
      'container_oom_events_total counter',
      'container_blkio_device_usage_total counter device major minor operation',
      'container_threads gauge',
      'container_threads_max gauge',
      'container_hugetlb_usage_bytes gauge pagesize',
      'container_hugetlb_max_usage_bytes gauge pagesize',
      'container_pressure_cpu_waiting_seconds_total counter',
      'container_pressure_cpu_stalled_seconds_total counter',
      'container_pressure_memory_waiting_seconds_total counter',
      'container_pressure_memory_stalled_seconds_total counter',
      'container_pressure_io_waiting_seconds_total counter',
      'container_pressure_io_stalled_seconds_total counter',
    ]);
  });

  it('take each value from its own reading, with times in seconds', () => {
    expect(samplesOf(FULL)).toEqual([
      ['cpu_usage_seconds_total', 'total', 1.5],
      ['cpu_user_seconds_total', 2],
      ['cpu_system_seconds_total', 3],
      ['cpu_cfs_periods_total', 4],
      ['cpu_cfs_throttled_periods_total', 5],
      ['cpu_cfs_throttled_seconds_total', 6],
      ['memory_usage_bytes', 7],
      ['memory_working_set_bytes', 8],
      ['memory_rss', 9],
      ['memory_cache', 10],
      ['memory_mapped_file', 11],
      ['memory_swap', 12],
      ['memory_kernel_usage', 13],
      ['memory_max_usage_bytes', 14],
      ['memory_failcnt', 15],
      ['memory_failures_total', 'pgfault', 'container', 17],
      ['memory_failures_total', 'pgmajfault', 'container', 18],
      ['memory_failures_total', 'pgfault', 'hierarchy', 19],
      ['memory_failures_total', 'pgmajfault', 'hierarchy', 20],
      ['oom_events_total', 16],
      ['blkio_device_usage_total', '/dev/sda', '8', '0', 'Read', 21],
      ['blkio_device_usage_total', '/dev/sda', '8', '0', 'Write', 22],
      ['blkio_device_usage_total', '/dev/sdb', '9', '16', 'Read', 23],
      ['blkio_device_usage_total', '/dev/sdb', '9', '16', 'Write', 24],
      ['threads', 25],
      ['threads_max', 26],
      ['hugetlb_usage_bytes', '2MB', 27],
      ['hugetlb_usage_bytes', '1GB', 29],
      ['hugetlb_max_usage_bytes', '2MB', 28],
      ['hugetlb_max_usage_bytes', '1GB', 30],
      ['pressure_cpu_waiting_seconds_total', 31],
      ['pressure_cpu_stalled_seconds_total', 32],
      ['pressure_memory_waiting_seconds_total', 33],
      ['pressure_memory_stalled_seconds_total', 34],
      ['pressure_io_waiting_seconds_total', 35],
      ['pressure_io_stalled_seconds_total', 36],
    ]);
  });

  it('have no sample for an unknown value', () => {
    expect(samplesOf({ usage: {}, devices: [], hugePages: [] })).toEqual([]);
    const parts = { timestamp: at, pressure: {} };
    const usage = { cpu: { ...parts, usageNanos: Long.UZERO }, io: parts };
    expect(samplesOf({ usage, devices: [], hugePages: [{ size: '2MB', usage: 0 }] })).toEqual([
      ['cpu_usage_seconds_total', 'total', 0],
      ['hugetlb_usage_bytes', '2MB', 0],
    ]);
  });

  it("use the faults of the hierarchy for the cgroup's own if the kernel has no others", () => {
    const memory = { timestamp: at, usage: 1, workingSet: 2, pageFaults: 3, majorPageFaults: 4 };
    expect(samplesOf({ usage: { memory }, devices: [], hugePages: [] }).slice(2)).toEqual([
      ['memory_failures_total', 'pgfault', 'container', 3],
      ['memory_failures_total', 'pgmajfault', 'container', 4],
      ['memory_failures_total', 'pgfault', 'hierarchy', 3],
      ['memory_failures_total', 'pgmajfault', 'hierarchy', 4],
    ]);
  });

  it('have 0 as the thread limit if there is none, but only where threads are counted', () => {
    const none = { usage: {}, devices: [], hugePages: [] };
    expect(samplesOf({ ...none, tasks: 5 })).toEqual([
      ['threads', 5],
      ['threads_max', 0],
    ]);
    expect(samplesOf({ ...none, tasksLimit: 5 })).toEqual([]);
  });
});
