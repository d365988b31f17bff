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
  // crun refuses cgroup v1 machines whose v2 hierarchy has controllers too. Therefore a tmpfs hides this
  // hierarchy, and crun creates its cgroups in the tmpfs. Without the mount, crun would create them in the
  // machine's tmpfs, where they would stay, or which may be read-only.
  const crun = await script('crun', [
    `exec unshare --mount --propagation slave sh -c 'mount -t tmpfs tmpfs /sys/fs/cgroup/unified 2>/dev/null; exec crun "$@"' crun "$@"`,
  ]);
  // Debian 12's runsc treats every network namespace of a new kernel as the host's. Its cgroups
  // need a workaround too.
  const runsc = await script('runsc', ['exec runsc --network=host --ignore-cgroups "$@"']);
  return { calls, config: { runtimes: { crun, runsc } } };
}
