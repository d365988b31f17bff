import type Long from 'long';
import type { UsageReading } from '../../translate/readings';
import type { DeviceIo } from './parse';

/** What cAdvisor's metrics want beyond usage. Undefined means that this machine's kernel does not tell. */
export interface DetailReading {
  readonly usage: UsageReading;
  readonly userNanos?: Long | undefined;
  readonly systemNanos?: Long | undefined;
  /** Of the CFS quota. */
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
  /** Of the group itself, without groups below it. */
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

/** Readings of one control group, with the groups below it. */
export interface GroupReader {
  readonly name: string;
  /** A few small reads, in parallel; undefined when the group is gone. */
  usage(): Promise<UsageReading | undefined>;
  /** Some twenty reads. */
  detail(): Promise<DetailReading | undefined>;
  close(): Promise<void>;
}
