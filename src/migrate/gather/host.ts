import { stat, statfs } from 'node:fs/promises';
import { hostname, machine, release } from 'node:os';
import { dirname, join } from 'node:path';
import { waitAtMost } from '../../lib/async/deadline';
import { findHierarchies } from '../../node/cgroup';
import { readText } from '../../node/disk/files';
import type { DiskFacts, HostFacts } from '../facts';
import type { NodeRoot } from './node-root';

/** The time limit of a look at a disk, because a dead network disk never answers. */
const DISK_MS = 3_000;
const DISKS = [
  '/var/lib/docker',
  '/var/lib/containerd',
  '/var/lib/containers',
  '/var/lib/kubelet',
  '/var/log',
];
const SYSCTLS = [
  'net.ipv4.ip_forward',
  'net.ipv6.conf.all.forwarding',
  'net.bridge.bridge-nf-call-iptables',
  'net.bridge.bridge-nf-call-ip6tables',
];
/** Go's names for the kernel's names of architectures. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  x86_64: 'amd64',
  aarch64: 'arm64',
  armv7l: 'arm',
  i686: '386',
};

/**
 * Reads facts about the machine.
 * @param more directories whose disks are wanted too, such as the Engine's data root.
 */
export async function readHost(node: NodeRoot, more: readonly string[] = []): Promise<HostFacts> {
  const proc = join(node.root, 'proc');
  const release_ = await node.text('/etc/os-release');
  const hierarchies = findHierarchies((await readText(join(proc, 'self/mountinfo'))) ?? '');
  const disks = await readDisks(node, [...DISKS, ...more]);
  const values = await Promise.all(
    SYSCTLS.map(async (name) => {
      const value = await readText(join(proc, 'sys', name.replaceAll('.', '/')));
      return value === undefined ? [] : [[name, value.trim()] as const];
    }),
  );
  return {
    hostname: (await node.text('/etc/hostname'))?.trim() ?? hostname(),
    arch: ARCHITECTURES[machine()] ?? machine(),
    kernel: release(),
    os: /^PRETTY_NAME="?([^"\n]*)/m.exec(release_ ?? '')?.[1] ?? '',
    ...(hierarchies === undefined ? {} : { cgroupVersion: hierarchies.version }),
    disks,
    sysctls: Object.fromEntries(values.flat()),
  };
}

/** Looks at the file systems of directories. Those that do not answer are missing. */
export async function readDisks(node: NodeRoot, paths: readonly string[]): Promise<DiskFacts[]> {
  const disks = await Promise.all([...new Set(paths)].map((path) => diskOf(node, path)));
  return disks.filter((disk) => disk !== undefined);
}

/** Looks at the nearest directory that exists. Returns undefined when the disk does not answer. */
async function diskOf(node: NodeRoot, path: string): Promise<DiskFacts | undefined> {
  try {
    return await waitAtMost(`Reading the disk of ${path}`, DISK_MS, lookAt(node, path));
  } catch {
    return undefined;
  }
}

async function lookAt(node: NodeRoot, path: string): Promise<DiskFacts | undefined> {
  for (let existing = path; ; existing = dirname(existing)) {
    const place = await node.locate(existing).catch(() => undefined);
    const info = place === undefined ? undefined : await stat(place).catch(() => undefined);
    if (place === undefined || info === undefined) {
      if (existing === '/') return undefined;
      continue;
    }
    const { bsize, blocks, bfree } = await statfs(place);
    const parent = await stat(join(place, '..'));
    return {
      ...{ path, existing, device: info.dev },
      isMountPoint: existing === path && parent.dev !== info.dev,
      ...{ sizeBytes: blocks * bsize, freeBytes: bfree * bsize },
    };
  }
}
