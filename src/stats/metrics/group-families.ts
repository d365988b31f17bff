import type Long from 'long';
import type { DetailReading, DeviceIo, PressureLine } from '../readings';
import { familiesOf, type Family, type Values } from './metric';

export interface NamedDevice extends DeviceIo {
  /** The device's path, `/dev/…`. */
  readonly path: string;
}

export interface GroupInput extends DetailReading {
  readonly devices: readonly NamedDevice[];
}

const { counter, gauge } = familiesOf<GroupInput>();

/** The metric families that come from the cgroup of a container or a pod. Names and units are cAdvisor's (docs/stats.md). */
export const GROUP_FAMILIES: readonly Family<GroupInput>[] = [
  counter(
    'cpu_usage_seconds_total',
    'CPU time used, in seconds.',
    ({ usage }) => [[seconds(usage.cpu?.usageNanos), 'total']],
    'cpu',
  ),
  counter('cpu_user_seconds_total', 'CPU time used in user mode, in seconds.', ({ userNanos }) =>
    seconds(userNanos),
  ),
  counter('cpu_system_seconds_total', 'CPU time used in kernel mode, in seconds.', ({ systemNanos }) =>
    seconds(systemNanos),
  ),
  counter('cpu_cfs_periods_total', 'Periods of the CPU quota that have passed.', ({ periods }) => periods),
  counter(
    'cpu_cfs_throttled_periods_total',
    'Periods of the CPU quota in which the quota was used up.',
    ({ throttledPeriods }) => throttledPeriods,
  ),
  counter(
    'cpu_cfs_throttled_seconds_total',
    'Time that threads waited for the next period because the CPU quota was used up, in seconds.',
    ({ throttledNanos }) => seconds(throttledNanos),
  ),
  gauge('memory_usage_bytes', 'Memory in use, including page cache.', ({ usage }) => usage.memory?.usage),
  gauge(
    'memory_working_set_bytes',
    'Memory in use without inactive page cache.',
    ({ usage }) => usage.memory?.workingSet,
  ),
  gauge('memory_rss', 'Anonymous memory, in bytes.', ({ usage }) => usage.memory?.rss),
  gauge('memory_cache', 'Page cache, in bytes.', ({ cache }) => cache),
  gauge(
    'memory_mapped_file',
    'Page cache that is mapped into processes, in bytes.',
    ({ mappedFile }) => mappedFile,
  ),
  gauge('memory_swap', 'Memory that was swapped out, in bytes.', ({ usage }) => usage.swap?.usage),
  gauge(
    'memory_kernel_usage',
    'Memory that the kernel uses for the group, in bytes.',
    ({ kernel }) => kernel,
  ),
  gauge(
    'memory_max_usage_bytes',
    'Largest amount of memory that was ever in use.',
    ({ maxUsage }) => maxUsage,
  ),
  counter('memory_failcnt', 'How often memory usage has reached the limit.', ({ limitHits }) => limitHits),
  counter(
    'memory_failures_total',
    'Minor and major page faults, for the group alone and including the groups below it.',
    faults,
    'failure_type',
    'scope',
  ),
  counter('oom_events_total', 'Processes that the OOM killer has killed.', ({ oomKills }) => oomKills),
  counter(
    'blkio_device_usage_total',
    'Bytes read from and written to a block device.',
    ({ devices }) =>
      devices.flatMap(({ path, major, minor, readBytes, writeBytes }): Values => [
        [readBytes, path, major, minor, 'Read'],
        [writeBytes, path, major, minor, 'Write'],
      ]),
    'device',
    'major',
    'minor',
    'operation',
  ),
  gauge('threads', 'Threads running.', ({ tasks }) => tasks),
  // 0 means no limit, as in cAdvisor.
  gauge('threads_max', 'Maximum number of threads; 0 means no limit.', ({ tasks, tasksLimit }) =>
    tasks === undefined ? undefined : (tasksLimit ?? 0),
  ),
  gauge(
    'hugetlb_usage_bytes',
    'Huge pages in use.',
    ({ hugePages }) => hugePages.map(({ size, usage }): Values[number] => [usage, size]),
    'pagesize',
  ),
  gauge(
    'hugetlb_max_usage_bytes',
    'Largest amount of huge pages that was ever in use.',
    ({ hugePages }) => hugePages.map(({ size, maxUsage }): Values[number] => [maxUsage, size]),
    'pagesize',
  ),
  ...pressureFamilies('cpu', 'a processor', ({ usage }) => usage.cpu?.pressure),
  ...pressureFamilies('memory', 'memory', ({ usage }) => usage.memory?.pressure),
  ...pressureFamilies('io', 'a block device', ({ usage }) => usage.io?.pressure),
];

function pressureFamilies(
  what: string,
  words: string,
  pick: (
    detail: DetailReading,
  ) => { some?: PressureLine | undefined; full?: PressureLine | undefined } | undefined,
): Family<GroupInput>[] {
  return [
    counter(
      `pressure_${what}_waiting_seconds_total`,
      `Time in which at least one task waited for ${words}, in seconds.`,
      (detail) => seconds(pick(detail)?.some?.totalNanos),
    ),
    counter(
      `pressure_${what}_stalled_seconds_total`,
      `Time in which all tasks waited for ${words}, in seconds.`,
      (detail) => seconds(pick(detail)?.full?.totalNanos),
    ),
  ];
}

function faults({ usage, ownPageFaults, ownMajorPageFaults }: DetailReading): Values {
  const { pageFaults, majorPageFaults } = usage.memory ?? {};
  return [
    // cgroup v2 has no counters that exclude the groups below. The total is used for both, because a container normally has no
    // groups below its own.
    [ownPageFaults ?? pageFaults, 'pgfault', 'container'],
    [ownMajorPageFaults ?? majorPageFaults, 'pgmajfault', 'container'],
    [pageFaults, 'pgfault', 'hierarchy'],
    [majorPageFaults, 'pgmajfault', 'hierarchy'],
  ];
}

function seconds(nanos: Long | undefined): number | undefined {
  return nanos && nanos.toNumber() / 1e9;
}
