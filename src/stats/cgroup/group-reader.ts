import { readdir } from 'node:fs/promises';
import type { DetailReading, UsageReading } from '../readings';

/** Readings of one control group, with the groups below it. */
export interface GroupReader {
  readonly name: string;
  /** Costs a few small reads, in parallel. Resolves with undefined when the group is gone. */
  usage(): Promise<UsageReading | undefined>;
  /** Costs some twenty reads. */
  detail(): Promise<DetailReading | undefined>;
  close(): Promise<void>;
}

/** Sizes of huge pages that a group accounts for, as in its file names: `2MB` of `hugetlb.2MB.current`. */
export class HugePageSizes {
  private sizes: Promise<string[]> | undefined;

  /** @param suffix of the file that tells usage: `current` on v2, `usage_in_bytes` on v1. */
  constructor(
    private readonly directory: string | undefined,
    private readonly suffix: string,
  ) {}

  /** The sizes do not change, so they are looked up once. */
  all(): Promise<readonly string[]> {
    this.sizes ??= this.lookUp();
    return this.sizes;
  }

  private async lookUp(): Promise<string[]> {
    if (this.directory === undefined) return [];
    const names = await readdir(this.directory).catch(() => []);
    return names.flatMap((name) => {
      const [controller, size, last, ...more] = name.split('.');
      const fits = controller === 'hugetlb' && last === this.suffix && more.length === 0;
      return fits && size !== undefined ? [size] : [];
    });
  }
}
