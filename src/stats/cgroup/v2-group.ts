import { join } from 'node:path';
import type Long from 'long';
import type { DetailReading, HugePages, UsageReading, ReadingClock } from '../readings';
import type { GroupPath } from '../../node/cgroup';
import { limit, number } from '../../node/cgroup-values';
import { CpuMeter } from '../cpu-rate';
import { HugePageSizes, type GroupReader } from './group-reader';
import { HeldFiles, type FilePlaces } from './held-files';
import { ioStat, keyed, keyedLong, pressure, workingSet } from './parse';

const NANOS_PER_MICRO = 1_000;

/**
 * A group of cgroup v2 (kernel.org, admin-guide/cgroup-v2). The group has no files of a controller that its parent has not
 * enabled for it. Whether swap and pressure files exist depends on the kernel's configuration.
 */
export class V2Group implements GroupReader {
  readonly name: string;
  private readonly files: HeldFiles;
  private readonly meter: CpuMeter;
  private readonly directory: string;
  private readonly hugePageSizes: HugePageSizes;

  constructor(
    group: GroupPath,
    private readonly clock: ReadingClock,
    places: FilePlaces,
  ) {
    this.files = new HeldFiles(places);
    this.name = group.name;
    this.meter = new CpuMeter(clock);
    this.directory = group.directoryOf('') ?? '';
    this.hugePageSizes = new HugePageSizes(this.directory, 'current');
  }

  async usage(): Promise<UsageReading | undefined> {
    const [cpu, memory, swap, io] = await Promise.all([this.cpu(), this.memory(), this.swap(), this.io()]);
    // Every group has a cpu.stat, whichever controllers are enabled. If it is missing, the group is gone.
    return cpu && { cpu, memory, swap, io };
  }

  async detail(): Promise<DetailReading | undefined> {
    const [usage, cpuStat, memoryStat = '', events = '', peak, io = '', tasks, tasksLimit, hugePages] =
      await Promise.all([
        this.usage(),
        this.read('cpu.stat'),
        this.read('memory.stat'),
        this.once('memory.events'),
        this.once('memory.peak'),
        this.once('io.stat'),
        this.once('pids.current'),
        this.once('pids.max'),
        this.hugePages(),
      ]);
    if (usage === undefined || cpuStat === undefined) return undefined;
    const kernel = keyed(memoryStat, 'kernel');
    return {
      usage,
      userNanos: nanos(keyedLong(cpuStat, 'user_usec')),
      systemNanos: nanos(keyedLong(cpuStat, 'system_usec')),
      periods: keyed(cpuStat, 'nr_periods'),
      throttledPeriods: keyed(cpuStat, 'nr_throttled'),
      throttledNanos: nanos(keyedLong(cpuStat, 'throttled_usec')),
      cache: keyed(memoryStat, 'file'),
      mappedFile: keyed(memoryStat, 'file_mapped'),
      // Kernels before 5.18 do not report the total, only its parts.
      kernel: kernel ?? sum(keyed(memoryStat, 'kernel_stack'), keyed(memoryStat, 'slab')),
      maxUsage: number(peak),
      limitHits: keyed(events, 'max'),
      oomKills: keyed(events, 'oom_kill'),
      devices: ioStat(io),
      tasks: number(tasks),
      tasksLimit: limit(tasksLimit),
      hugePages,
    };
  }

  close(): Promise<void> {
    return this.files.close();
  }

  private async cpu(): Promise<UsageReading['cpu']> {
    const [stat, stalled] = await Promise.all([this.read('cpu.stat'), this.read('cpu.pressure')]);
    const usageNanos = stat === undefined ? undefined : nanos(keyedLong(stat, 'usage_usec'));
    return usageNanos && { ...this.meter.reading(usageNanos), pressure: pressure(stalled) };
  }

  private async memory(): Promise<UsageReading['memory']> {
    const names = ['memory.current', 'memory.stat', 'memory.max', 'memory.pressure'];
    const [current, stat = '', max, stalled] = await Promise.all(names.map((name) => this.read(name)));
    const usage = number(current);
    if (usage === undefined) return undefined;
    return {
      timestamp: this.clock.now(),
      usage,
      workingSet: workingSet(usage, keyed(stat, 'inactive_file')),
      limit: limit(max),
      rss: keyed(stat, 'anon'),
      pageFaults: keyed(stat, 'pgfault'),
      majorPageFaults: keyed(stat, 'pgmajfault'),
      pressure: pressure(stalled),
    };
  }

  private async swap(): Promise<UsageReading['swap']> {
    const [current, max] = await Promise.all([
      this.read('memory.swap.current'),
      this.read('memory.swap.max'),
    ]);
    const usage = number(current);
    return usage === undefined ? undefined : { timestamp: this.clock.now(), usage, limit: limit(max) };
  }

  private async io(): Promise<UsageReading['io']> {
    const psi = pressure(await this.read('io.pressure'));
    return psi && { timestamp: this.clock.now(), pressure: psi };
  }

  private async hugePages(): Promise<HugePages[]> {
    const sizes = await this.hugePageSizes.all();
    const usages = await Promise.all(sizes.map((size) => this.once(`hugetlb.${size}.current`)));
    return sizes.map((size, at) => ({ size, usage: number(usages[at]) ?? 0 }));
  }

  private read(name: string): Promise<string | undefined> {
    return this.files.read(join(this.directory, name));
  }

  private once(name: string): Promise<string | undefined> {
    return this.files.readOnce(join(this.directory, name));
  }
}

function nanos(micros: Long | undefined): Long | undefined {
  return micros?.mul(NANOS_PER_MICRO);
}

function sum(...parts: (number | undefined)[]): number | undefined {
  return parts.reduce((total, part) => (part === undefined ? total : (total ?? 0) + part), undefined);
}
