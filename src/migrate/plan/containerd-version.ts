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

/** `containerd github.com/containerd/containerd/v2 2.1.4 …`, `containerd containerd.io v2.2.0 …` */
const versionOf = (release: string): string => String.raw`containerd .*?\sv?(${release})\.[\s\S]*`;

/** What `containerd --version` prints for these releases and newer ones. */
export const VERSION_PATTERNS: Readonly<Record<2 | 3, string>> = {
  2: versionOf(String.raw`1\.[7-9]\d*|1\.[1-6]\d+|[2-9]\.\d+|[1-9]\d+\.\d+`),
  3: versionOf(String.raw`2\.[1-9]\d*|[3-9]\.\d+|[1-9]\d+\.\d+`),
};
