import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DaemonJson } from './engine';

/**
 * Debian's crun and gVisor's runsc, as this kind of machine lets them run, for the key `runtimes` of daemon.json. Each writes its
 * arguments to `calls`, a line a call: which runtime ran a container shows from outside.
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
  // crun refuses cgroup v1 machines whose v2 part has controllers too: it sees an empty directory instead, in which it may
  // make groups. Without that mount it would make them in the machine's tmpfs, where they stay, or which may be read-only.
  const crun = await script('crun', [
    `exec unshare --mount --propagation slave sh -c 'mount -t tmpfs tmpfs /sys/fs/cgroup/unified 2>/dev/null; exec crun "$@"' crun "$@"`,
  ]);
  // Debian 12's runsc takes every network namespace of a new kernel for the host's, and cgroups need the same care.
  const runsc = await script('runsc', ['exec runsc --network=host --ignore-cgroups "$@"']);
  return { calls, config: { runtimes: { crun, runsc } } };
}
