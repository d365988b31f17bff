import type Long from 'long';
import type { DetailReading, DeviceIo, PressureLine } from '../readings';
import { familiesOf, type Family, type Values } from './metric';

export interface NamedDevice extends DeviceIo {
  /** `/dev/…`. */
  readonly path: string;
}

export interface GroupInput extends DetailReading {
  readonly devices: readonly NamedDevice[];
}

const { counter, gauge } = familiesOf<GroupInput>();

/** What a cgroup tells, of a container or of a pod; names and units are cAdvisor's (docs/stats.md). */
export const GROUP_FAMILIES: readonly Family<GroupInput>[] = [
  counter(
    'cpu_usage_seconds_total',
    'Processor time used, in seconds.',
    ({ usage }) => [[seconds(usage.cpu?.usageNanos), 'total']],
    'cpu',
  ),
  counter('cpu_user_seconds_total', 'Processor time used in user mode, in seconds.', ({ userNanos }) =>
    seconds(userNanos),
  ),
  counter('cpu_system_seconds_total', 'Processor time used in the kernel, in seconds.', ({ systemNanos }) =>
    seconds(systemNanos),
  ),
  counter('cpu_cfs_periods_total', 'Periods of the CPU quota that have passed.', ({ periods }) => periods),
  counter(
    'cpu_cfs_throttled_periods_total',
    'Periods of the CPU quota in which it was used up.',
    ({ throttledPeriods }) => throttledPeriods,
  ),
  counter(
    'cpu_cfs_throttled_seconds_total',
    'Time that threads waited for the next period of the CPU quota, in seconds.',
    ({ throttledNanos }) => seconds(throttledNanos),
  ),
  gauge('memory_usage_bytes', 'Memory in use, page cache included.', ({ usage }) => usage.memory?.usage),
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
  gauge('memory_kernel_usage', 'Memory of the kernel itself, in bytes.', ({ kernel }) => kernel),
  gauge('memory_max_usage_bytes', 'Most memory that was ever in use.', ({ maxUsage }) => maxUsage),
  counter('memory_failcnt', 'How often usage has hit the memory limit.', ({ limitHits }) => limitHits),
  counter(
    'memory_failures_total',
    'Page faults, minor and major, of the group alone and with the groups below it.',
    faults,
    'failure_type',
    'scope',
  ),
  counter('oom_events_total', 'Processes killed for want of memory.', ({ oomKills }) => oomKills),
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
  // As cAdvisor has it: 0 is infinity.
  gauge('threads_max', 'Most threads allowed, 0 for any number.', ({ tasks, tasksLimit }) =>
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
    'Most huge pages that were ever in use.',
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
    // cgroup v2 has no counters of its own for a group without those below it: a container has none below.
    [ownPageFaults ?? pageFaults, 'pgfault', 'container'],
    [ownMajorPageFaults ?? majorPageFaults, 'pgmajfault', 'container'],
    [pageFaults, 'pgfault', 'hierarchy'],
    [majorPageFaults, 'pgmajfault', 'hierarchy'],
  ];
}

function seconds(nanos: Long | undefined): number | undefined {
  return nanos && nanos.toNumber() / 1e9;
}
