import type { DetailReading, UsageReading } from '../readings';

/** Readings of one control group, with the groups below it. */
export interface GroupReader {
  readonly name: string;
  /** A few small reads, in parallel; undefined when the group is gone. */
  usage(): Promise<UsageReading | undefined>;
  /** Some twenty reads. */
  detail(): Promise<DetailReading | undefined>;
  close(): Promise<void>;
}
