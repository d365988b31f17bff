import { readdir } from 'node:fs/promises';
import type { DetailReading, UsageReading } from '../readings';

/** Takes readings of one control group, including the groups below it. */
export interface GroupReader {
  readonly name: string;
  /** Reads a few small files in parallel. Resolves with undefined when the group is gone. */
  usage(): Promise<UsageReading | undefined>;
  /** Reads some twenty files. */
  detail(): Promise<DetailReading | undefined>;
  close(): Promise<void>;
}

/** Finds the sizes of huge pages that a group accounts for, as its file names contain them: `2MB` in `hugetlb.2MB.current`. */
export class HugePageSizes {
  private sizes: Promise<string[]> | undefined;

  /** @param suffix the end of the usage file's name: `current` on v2, `usage_in_bytes` on v1. */
  constructor(
    private readonly directory: string | undefined,
    private readonly suffix: string,
  ) {}

  /** Returns the sizes of huge pages. They do not change, so they are looked up once. */
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
