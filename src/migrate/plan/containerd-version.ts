/** A release as major and minor version. */
export type Release = readonly [major: number, minor: number];

/**
 * The oldest containerd for each version of its configuration. `bin_dirs` of version 3 came with 2.1; with a file of version 2 the plan
 * writes nothing that 1.7 does not know.
 */
export const OLDEST_CONTAINERD: Readonly<Record<2 | 3, Release>> = { 2: [1, 7], 3: [2, 1] };

export function isAtLeast([major, minor]: Release, [wantedMajor, wantedMinor]: Release): boolean {
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}
