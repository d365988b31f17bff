import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Debian's crun and gVisor's runsc, as this kind of machine lets them run, for `dockerd --add-runtime`. Each writes its
 * arguments to `calls`, a line a call: which runtime ran a container shows from outside.
 */
export interface OtherRuntimes {
  readonly dockerd: readonly string[];
  readonly calls: string;
}

export async function otherRuntimes(directory: string): Promise<OtherRuntimes> {
  const calls = join(directory, 'calls');
  const script = async (name: string, lines: readonly string[]): Promise<string> => {
    const path = join(directory, name);
    await writeFile(path, ['#!/bin/sh', `echo ${name} "$@" >>${calls}`, ...lines, ''].join('\n'));
    await chmod(path, 0o755);
    return `--add-runtime=${name}=${path}`;
  };
  return {
    calls,
    dockerd: [
      // crun refuses cgroup v1 machines whose v2 part has controllers too: it shall not see that part.
      await script('crun', [
        `exec unshare --mount --propagation slave sh -c 'umount /sys/fs/cgroup/unified 2>/dev/null; exec crun "$@"' crun "$@"`,
      ]),
      // Debian 12's runsc takes every network namespace of a new kernel for the host's, and cgroups need the same care.
      await script('runsc', ['exec runsc --network=host --ignore-cgroups "$@"']),
    ],
  };
}
