import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DaemonJson } from './engine';

/**
 * Debian's crun and gVisor's runsc with the settings that this kind of machine needs, for the key
 * `runtimes` of daemon.json. Each appends its arguments to `calls`, one line per call, which shows which
 * runtime ran a container.
 */
export interface OtherRuntimes {
  readonly config: DaemonJson;
  readonly calls: string;
}

export async function otherRuntimes(directory: string): Promise<OtherRuntimes> {
  const calls = join(directory, 'calls');
  const script = async (name: string, lines: readonly string[]): Promise<{ path: string }> => {
    const path = join(directory, name);
    await writeFile(path, ['#!/bin/sh', `echo ${name} "$@" >>${calls}`, ...lines, ''].join('\n'));
    await chmod(path, 0o755);
    return { path };
  };
  // crun refuses cgroup v1 machines whose v2 part has controllers too, so it sees an empty directory in its
  // place, in which it may create cgroups. Without that mount it would create them in the machine's tmpfs,
  // where they stay, or which may be read-only.
  const crun = await script('crun', [
    `exec unshare --mount --propagation slave sh -c 'mount -t tmpfs tmpfs /sys/fs/cgroup/unified 2>/dev/null; exec crun "$@"' crun "$@"`,
  ]);
  // Debian 12's runsc treats every network namespace of a new kernel as the host's. cgroups need the same
  // workaround.
  const runsc = await script('runsc', ['exec runsc --network=host --ignore-cgroups "$@"']);
  return { calls, config: { runtimes: { crun, runsc } } };
}
