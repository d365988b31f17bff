import { readdir } from 'node:fs/promises';

/**
 * Sizes of huge pages that a group accounts for, as in its file names: `2MB` of `hugetlb.2MB.current`.
 * @param suffix of the file that tells usage: `current` on v2, `usage_in_bytes` on v1.
 */
export async function hugePageSizes(directory: string | undefined, suffix: string): Promise<string[]> {
  if (directory === undefined) return [];
  const names = await readdir(directory).catch(() => []);
  return names.flatMap((name) => {
    const [controller, size, last, ...more] = name.split('.');
    const fits = controller === 'hugetlb' && last === suffix && more.length === 0;
    return fits && size !== undefined ? [size] : [];
  });
}
