import Long from 'long';
import { nanosFromMillis } from '../translate/shared/time';

/**
 * The measurements of a container or pod, which come from cgroup files (src/stats) or from the Engine (engine-source.ts).
 * Undefined means that a value is not known, never zero. Counters that may exceed 2^53 are of type Long.
 */
export interface UsageReading {
  readonly cpu?: CpuReading | undefined;
  readonly memory?: MemoryReading | undefined;
  readonly swap?: SwapReading | undefined;
  readonly io?: IoReading | undefined;
}

export interface CpuReading {
  /** The time of this very reading, in nanoseconds since the epoch. All timestamps in this file have this form. */
  readonly timestamp: Long;
  /** Nanoseconds of CPU time so far. */
  readonly usageNanos: Long;
  /** Nanoseconds of CPU time per second, computed from two readings. */
  readonly nanoCores?: number | undefined;
  readonly pressure?: Pressure | undefined;
}

/** Memory usage. All values are in bytes, except the numbers of page faults. */
export interface MemoryReading {
  readonly timestamp: Long;
  readonly usage: number;
  /** Usage without the page cache that the kernel would drop first. kubelet's evictions use this number. */
  readonly workingSet: number;
  /** Absent when there is no limit. */
  readonly limit?: number | undefined;
  readonly rss?: number | undefined;
  readonly pageFaults?: number | undefined;
  readonly majorPageFaults?: number | undefined;
  readonly pressure?: Pressure | undefined;
}

/** Swap usage in bytes. */
export interface SwapReading {
  readonly timestamp: Long;
  readonly usage: number;
  /** Absent when there is no limit. */
  readonly limit?: number | undefined;
}

export interface IoReading {
  readonly timestamp: Long;
  readonly pressure: Pressure;
}

/** Pressure stall information: the time in which at least one task waited (`some`), or all tasks waited (`full`). */
export interface Pressure {
  readonly some?: PressureLine | undefined;
  readonly full?: PressureLine | undefined;
}

export interface PressureLine {
  /** Nanoseconds of waiting so far. */
  readonly totalNanos: Long;
  /** Share of the last 10, 60 and 300 seconds, in percent. */
  readonly avg10: number;
  readonly avg60: number;
  readonly avg300: number;
}

/** A container's writable layer. */
export interface LayerReading {
  readonly timestamp: Long;
  /** The mount point of the file system that holds it. */
  readonly mountpoint: string;
  readonly usedBytes: number;
  /** Absent when the Engine made the measurement, because the Engine does not count inodes. */
  readonly inodesUsed?: number | undefined;
}

export interface InterfaceReading {
  readonly name: string;
  readonly rxBytes: number;
  readonly rxPackets: number;
  readonly rxErrors: number;
  readonly rxDropped: number;
  readonly txBytes: number;
  readonly txPackets: number;
  readonly txErrors: number;
  readonly txDropped: number;
}

export interface NetworkReading {
  readonly timestamp: Long;
  /** Undefined when loopback is the only interface. */
  readonly defaultInterface?: InterfaceReading | undefined;
  readonly others: readonly InterfaceReading[];
}

/** A container's reads from and writes to one block device. */
export interface DeviceIo {
  readonly major: string;
  readonly minor: string;
  readonly readBytes: number;
  readonly writeBytes: number;
  readonly reads: number;
  readonly writes: number;
}

/** The values that cAdvisor's metrics need in addition to usage. A value is undefined when the machine does not report it. */
export interface DetailReading {
  readonly usage: UsageReading;
  readonly userNanos?: Long | undefined;
  readonly systemNanos?: Long | undefined;
  /** Enforcement periods of the CFS quota that have passed. */
  readonly periods?: number | undefined;
  readonly throttledPeriods?: number | undefined;
  readonly throttledNanos?: Long | undefined;
  /** Memory details in bytes, except for the counts. */
  readonly cache?: number | undefined;
  readonly mappedFile?: number | undefined;
  readonly kernel?: number | undefined;
  readonly maxUsage?: number | undefined;
  /** How often usage reached the limit. */
  readonly limitHits?: number | undefined;
  /** Page faults of the group itself, without the groups below it. */
  readonly ownPageFaults?: number | undefined;
  readonly ownMajorPageFaults?: number | undefined;
  readonly oomKills?: number | undefined;
  readonly devices: readonly DeviceIo[];
  /** Threads, which the kernel calls tasks. */
  readonly tasks?: number | undefined;
  readonly tasksLimit?: number | undefined;
  readonly hugePages: readonly HugePages[];
}

export interface HugePages {
  /** The size as in the file name, such as `2MB` or `1GB`. */
  readonly size: string;
  /** Usage in bytes. */
  readonly usage: number;
  readonly maxUsage?: number | undefined;
}

/** A running container, or a pod's pause container. */
export interface Target {
  readonly id: string;
  /** Host pid of the container's first process. */
  readonly pid: number;
}

/** The source of readings: cgroup files, or the Engine if the files are not visible here. */
export interface UsageSource {
  /** Resolves with undefined when the container is not running anymore. */
  usage(target: Target, signal?: AbortSignal): Promise<UsageReading | undefined>;
  detail(target: Target, signal?: AbortSignal): Promise<TargetDetail | undefined>;
  /** Returns the path of the container's cgroup, which is cAdvisor's label `id`. */
  cgroupName(target: Target): Promise<string | undefined>;
  /**
   * Reads the cgroup above a pause container. It is the pod's own cgroup if the pod was given one. Undefined when it cannot be
   * read.
   */
  podUsage(sandbox: Target, signal?: AbortSignal): Promise<UsageReading | undefined>;
  podDetail(sandbox: Target, signal?: AbortSignal): Promise<TargetDetail | undefined>;
  /** Lists the host pids of all the container's processes; undefined when they are not visible here. */
  processes(target: Target, signal?: AbortSignal): Promise<readonly number[] | undefined>;
  /**
   * Reads the interfaces of a pod's network namespace, including loopback; undefined when the namespace is not visible here.
   */
  interfaces(sandbox: Target, signal?: AbortSignal): Promise<readonly InterfaceReading[] | undefined>;
  /** Takes the first reading immediately, so that the next reading has a rate. */
  watch(target: Target): Promise<void>;
  forget(id: string): Promise<void>;
  close(): Promise<void>;
}

export interface TargetDetail extends DetailReading {
  /** The path that `cgroupName` returns. */
  readonly cgroup: string;
}

/**
 * Returns the current time in nanoseconds since the epoch, but never the same number twice in a row, because crictl and kubelet treat
 * two readings with equal timestamps as one.
 */
export class ReadingClock {
  private lastMillis = 0;
  private last = Long.ZERO;

  constructor(private readonly nowMillis: () => number = Date.now) {}

  now(): Long {
    const millis = this.nowMillis();
    this.last = millis === this.lastMillis ? this.last.add(1) : nanosFromMillis(millis);
    this.lastMillis = millis;
    return this.last;
  }
}
