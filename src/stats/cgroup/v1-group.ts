import { join } from 'node:path';
import type { DetailReading, HugePages, UsageReading, ReadingClock } from '../readings';
import type { GroupPath } from '../../node/cgroup';
import { limit, number } from '../../node/cgroup-values';
import { CpuMeter } from '../cpu-rate';
import { HugePageSizes, type GroupReader } from './group-reader';
import { HeldFiles, type FilePlaces } from './held-files';
import { blkio, keyed, keyedLong, long, workingSet } from './parse';

/** Nanoseconds per tick. cpuacct.stat counts in USER_HZ, which is 100 on every current Linux. */
const NANOS_PER_TICK = 10_000_000;

/**
 * A group of cgroup v1 (kernel.org, admin-guide/cgroup-v1). It has a directory in each controller's own tree. v1 has no
 * pressure files.
 */
export class V1Group implements GroupReader {
  readonly name: string;
  private readonly files: HeldFiles;
  private readonly meter: CpuMeter;
  private readonly hugePageSizes: HugePageSizes;

  constructor(
    private readonly group: GroupPath,
    private readonly clock: ReadingClock,
    places: FilePlaces,
  ) {
    this.files = new HeldFiles(places);
    this.name = group.name;
    this.meter = new CpuMeter(clock);
    this.hugePageSizes = new HugePageSizes(group.directoryOf('hugetlb'), 'usage_in_bytes');
  }

  async usage(): Promise<UsageReading | undefined> {
    const [cpu, { memory, swap }] = await Promise.all([this.cpu(), this.memory()]);
    if (cpu === undefined && memory === undefined) return undefined;
    return { cpu, memory, swap };
  }

  async detail(): Promise<DetailReading | undefined> {
    const once = (controller: string, name: string): Promise<string | undefined> =>
      this.once(controller, name);
    const [usage, stat = '', cpu = '', user, system, ticks = '', max, kernel, failures, oom = '', ...rest] =
      await Promise.all([
        this.usage(),
        this.read('memory', 'memory.stat'),
        once('cpu', 'cpu.stat'),
        once('cpuacct', 'cpuacct.usage_user'),
        once('cpuacct', 'cpuacct.usage_sys'),
        once('cpuacct', 'cpuacct.stat'),
        once('memory', 'memory.max_usage_in_bytes'),
        once('memory', 'memory.kmem.usage_in_bytes'),
        once('memory', 'memory.failcnt'),
        once('memory', 'memory.oom_control'),
        once('pids', 'pids.current'),
        once('pids', 'pids.max'),
        once('blkio', 'blkio.throttle.io_service_bytes_recursive'),
        once('blkio', 'blkio.throttle.io_serviced_recursive'),
      ]);
    if (usage === undefined) return undefined;
    const [tasks, tasksLimit, bytes = '', operations = ''] = rest;
    return {
      usage,
      userNanos: long(user) ?? keyedLong(ticks, 'user')?.mul(NANOS_PER_TICK),
      systemNanos: long(system) ?? keyedLong(ticks, 'system')?.mul(NANOS_PER_TICK),
      periods: keyed(cpu, 'nr_periods'),
      throttledPeriods: keyed(cpu, 'nr_throttled'),
      throttledNanos: keyedLong(cpu, 'throttled_time'),
      cache: keyed(stat, 'total_cache'),
      mappedFile: keyed(stat, 'total_mapped_file'),
      kernel: number(kernel),
      maxUsage: number(max),
      limitHits: number(failures),
      ownPageFaults: keyed(stat, 'pgfault'),
      ownMajorPageFaults: keyed(stat, 'pgmajfault'),
      oomKills: keyed(oom, 'oom_kill'),
      devices: blkio(bytes, operations),
      tasks: number(tasks),
      tasksLimit: limit(tasksLimit),
      hugePages: await this.hugePages(),
    };
  }

  close(): Promise<void> {
    return this.files.close();
  }

  private async cpu(): Promise<UsageReading['cpu']> {
    const usageNanos = long(await this.read('cpuacct', 'cpuacct.usage'));
    return usageNanos && this.meter.reading(usageNanos);
  }

  /** Reads memory and swap usage. The memory limit and swap usage come from memory.stat, which contains them too. */
  private async memory(): Promise<Pick<UsageReading, 'memory' | 'swap'>> {
    const [current, stat = ''] = await Promise.all([
      this.read('memory', 'memory.usage_in_bytes'),
      this.read('memory', 'memory.stat'),
    ]);
    const usage = number(current);
    if (usage === undefined) return {};
    const timestamp = this.clock.now();
    const most = bounded(stat, 'hierarchical_memory_limit');
    const memory = {
      timestamp,
      usage,
      workingSet: workingSet(usage, keyed(stat, 'total_inactive_file')),
      limit: most,
      rss: keyed(stat, 'total_rss'),
      pageFaults: keyed(stat, 'total_pgfault'),
      majorPageFaults: keyed(stat, 'total_pgmajfault'),
    };
    // The line is missing if the kernel does not account for swap.
    const swapped = keyed(stat, 'total_swap');
    if (swapped === undefined) return { memory };
    const both = bounded(stat, 'hierarchical_memsw_limit');
    const swapLimit = both === undefined || most === undefined ? undefined : Math.max(0, both - most);
    return { memory, swap: { timestamp, usage: swapped, limit: swapLimit } };
  }

  private async hugePages(): Promise<HugePages[]> {
    const sizes = await this.hugePageSizes.all();
    return Promise.all(
      sizes.map(async (size) => {
        const [usage, max] = await Promise.all([
          this.once('hugetlb', `hugetlb.${size}.usage_in_bytes`),
          this.once('hugetlb', `hugetlb.${size}.max_usage_in_bytes`),
        ]);
        return { size, usage: number(usage) ?? 0, maxUsage: number(max) };
      }),
    );
  }

  private async read(controller: string, name: string): Promise<string | undefined> {
    const directory = this.group.directoryOf(controller);
    return directory === undefined ? undefined : this.files.read(join(directory, name));
  }

  private async once(controller: string, name: string): Promise<string | undefined> {
    const directory = this.group.directoryOf(controller);
    return directory === undefined ? undefined : this.files.readOnce(join(directory, name));
  }
}

function bounded(text: string, key: string): number | undefined {
  return limit(keyed(text, key)?.toString());
}
