import Long from 'long';
import { nanosFromMillis } from '../translate/shared/time';

/**
 * What was measured of a container or pod, whoever measured it: cgroup files (src/stats) or the Engine
 * (engine-source.ts). Undefined means that nothing is known, never zero. Counters that may pass 2^53 are Long.
 */
export interface UsageReading {
  readonly cpu?: CpuReading | undefined;
  readonly memory?: MemoryReading | undefined;
  readonly swap?: SwapReading | undefined;
  readonly io?: IoReading | undefined;
}

export interface CpuReading {
  /** Nanoseconds since the epoch, of this very reading; the same holds for all timestamps here. */
  readonly timestamp: Long;
  /** Nanoseconds of processor time so far. */
  readonly usageNanos: Long;
  /** Nanoseconds of processor time a second, from two readings. */
  readonly nanoCores?: number | undefined;
  readonly pressure?: Pressure | undefined;
}

/** All in bytes, except the faults. */
export interface MemoryReading {
  readonly timestamp: Long;
  readonly usage: number;
  /** Usage without the page cache that the kernel would drop first. kubelet's evictions go by this number. */
  readonly workingSet: number;
  /** Absent without a limit. */
  readonly limit?: number | undefined;
  readonly rss?: number | undefined;
  readonly pageFaults?: number | undefined;
  readonly majorPageFaults?: number | undefined;
  readonly pressure?: Pressure | undefined;
}

/** Bytes. */
export interface SwapReading {
  readonly timestamp: Long;
  readonly usage: number;
  /** Absent without a limit. */
  readonly limit?: number | undefined;
}

export interface IoReading {
  readonly timestamp: Long;
  readonly pressure: Pressure;
}

/** Pressure stall information: `some` task waited, or all (`full`). */
export interface Pressure {
  readonly some?: PressureLine | undefined;
  readonly full?: PressureLine | undefined;
}

export interface PressureLine {
  /** Nanoseconds stalled so far. */
  readonly totalNanos: Long;
  /** Percent of the last 10, 60 and 300 seconds. */
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
  /** Absent where only the Engine can tell: it counts no inodes. */
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
  /** Undefined when there is none but loopback. */
  readonly defaultInterface?: InterfaceReading | undefined;
  readonly others: readonly InterfaceReading[];
}

/** What one block device has done for a container. */
export interface DeviceIo {
  readonly major: string;
  readonly minor: string;
  readonly readBytes: number;
  readonly writeBytes: number;
  readonly reads: number;
  readonly writes: number;
}

/** What cAdvisor's metrics want beyond usage. Undefined where the machine does not report it. */
export interface DetailReading {
  readonly usage: UsageReading;
  readonly userNanos?: Long | undefined;
  readonly systemNanos?: Long | undefined;
  /** Enforcement periods of the CFS quota that have passed. */
  readonly periods?: number | undefined;
  readonly throttledPeriods?: number | undefined;
  readonly throttledNanos?: Long | undefined;
  /** Bytes, as all of memory but the counts. */
  readonly cache?: number | undefined;
  readonly mappedFile?: number | undefined;
  readonly kernel?: number | undefined;
  readonly maxUsage?: number | undefined;
  /** How often usage hit the limit. */
  readonly limitHits?: number | undefined;
  /** Page faults of the group itself, without groups below it. */
  readonly ownPageFaults?: number | undefined;
  readonly ownMajorPageFaults?: number | undefined;
  readonly oomKills?: number | undefined;
  readonly devices: readonly DeviceIo[];
  /** Threads, in the kernel's words tasks. */
  readonly tasks?: number | undefined;
  readonly tasksLimit?: number | undefined;
  readonly hugePages: readonly HugePages[];
}

export interface HugePages {
  /** As in the file name: `2MB`, `1GB`. */
  readonly size: string;
  /** Bytes. */
  readonly usage: number;
  readonly maxUsage?: number | undefined;
}

/** A running container, or a pod's pause container. */
export interface Target {
  readonly id: string;
  /** Host pid of its first process. */
  readonly pid: number;
}

/** Where readings come from: cgroup files, or the Engine if those cannot be seen. */
export interface UsageSource {
  /** Resolves with undefined when it does not run any more. */
  usage(target: Target, signal?: AbortSignal): Promise<UsageReading | undefined>;
  detail(target: Target, signal?: AbortSignal): Promise<TargetDetail | undefined>;
  /** The path of its cgroup: cAdvisor's label `id`. */
  cgroupName(target: Target): Promise<string | undefined>;
  /**
   * Reads the cgroup above a pause container: the pod's own, where the pod was given one.
   * Undefined where that cannot be read.
   */
  podUsage(sandbox: Target, signal?: AbortSignal): Promise<UsageReading | undefined>;
  podDetail(sandbox: Target, signal?: AbortSignal): Promise<TargetDetail | undefined>;
  /** Host pids of all its processes; undefined where they cannot be seen. */
  processes(target: Target, signal?: AbortSignal): Promise<readonly number[] | undefined>;
  /** Reads the interfaces of a pod's network namespace, loopback included; undefined where it cannot be seen. */
  interfaces(sandbox: Target, signal?: AbortSignal): Promise<readonly InterfaceReading[] | undefined>;
  /** Makes its first reading at once, so that the next one has a rate. */
  watch(target: Target): Promise<void>;
  forget(id: string): Promise<void>;
  close(): Promise<void>;
}

export interface TargetDetail extends DetailReading {
  /** The same as `cgroupName` returns. */
  readonly cgroup: string;
}

/** Nanoseconds since the epoch, no two the same: crictl and kubelet take equal timestamps for a reading not renewed. */
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
