import { basename, join, resolve } from 'node:path';
import { flagOf } from '../../lib/flags';
import type { NodeFacts } from '../facts';

/** What dockerd makes in its data-root, whatever its storage driver. */
const DOCKERS_OWN = [
  ...['aufs', 'btrfs', 'devicemapper', 'fuse-overlayfs', 'overlay', 'overlay2', 'vfs', 'zfs'],
  ...[
    'builder',
    'buildkit',
    'containerd',
    'containers',
    'engine-id',
    'image',
    'network',
    'nuke-graph-directory',
  ],
  ...['plugins', 'rootfs', 'runtimes', 'swarm', 'tmp', 'trust', 'volumes'],
];

export interface DataRoot {
  /** The directories and files that the clean-up deletes. */
  readonly removed: readonly string[];
  /** What is used by others, with why it stays. */
  readonly kept: readonly string[];
}

/**
 * Returns what of the Engine's data-root the clean-up deletes. The administrator may have named a directory that has other data
 * as well: the whole directory goes only if it is called `docker` and nobody else uses a part of it.
 * @param targetRoots where the target keeps its data.
 */
export function dataRootRemoval(
  dockerRoot: string,
  facts: NodeFacts,
  targetRoots: readonly string[],
): DataRoot {
  const root = resolve('/', dockerRoot);
  if (root === '/') return { removed: [], kept: [] };
  const isDockers = basename(root) === 'docker';
  const isVolume = facts.host.disks.some(({ path, isMountPoint }) => isMountPoint && path === root);
  const used = [...targetRoots, ...podPaths(facts)]
    .map((path) => resolve('/', path))
    // A pod that reads logs mounts these two. It owns nothing in them.
    .filter((path) => !isDockers || ![root, join(root, 'containers')].includes(path));
  const kept = [...new Set(used)].filter((path) => isWithin(path, root)).sort();
  if (isDockers && !isVolume && kept.length === 0) return { removed: [root], kept };
  const removed = DOCKERS_OWN.map((name) => join(root, name)).filter(
    (child) => !kept.some((path) => isWithin(path, child)),
  );
  return { removed, kept };
}

/** The directories of the node that pods mount, without the volumes that the Engine manages. */
function podPaths({ engine, kubelet }: NodeFacts): string[] {
  const mounts = (engine?.containers ?? []).flatMap(({ Mounts }) => Mounts ?? []);
  const kubeletRoot = flagOf(kubelet?.arguments ?? [], 'root-dir') ?? '';
  return [
    ...mounts.flatMap(({ Type, Source = '' }) => (Type === 'bind' && Source !== '' ? [Source] : [])),
    ...(kubeletRoot === '' ? [] : [kubeletRoot]),
  ];
}

function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}
