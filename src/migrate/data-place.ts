import { dirname, join } from 'node:path';
import type { DiskFacts } from './facts';

const DOCKERS_DEFAULT = '/var/lib/docker';
/** Stands for all places below /var/lib, where containerd and CRI-O keep their data by default. */
const TARGETS_DEFAULT = '/var/lib/containerd';
/** Docker has a directory `containerd` of its own in its data-root. */
const BELOW = 'cri';

/**
 * Returns the directory that gets the target's data, so that the data stays on the file system that was chosen for Docker's; '' for
 * the target's default.
 * @param dataRoot the Engine's data-root; '' for its default.
 * @param disks the file systems of the node; those that are missing are not known.
 */
export function dataParent(dataRoot: string, disks: readonly DiskFacts[]): string {
  const root = dataRoot.replace(/\/+$/, '');
  if (root === '' || root === DOCKERS_DEFAULT) return '';
  const data = disks.find(({ path }) => path === root);
  const parent = dirname(root);
  // Next to a mount point is another file system.
  if (data?.isMountPoint === true) return join(root, BELOW);
  if (parent !== '/') return parent;
  const usual = disks.find(({ path }) => path === TARGETS_DEFAULT);
  const isElsewhere = data !== undefined && usual !== undefined && data.device !== usual.device;
  return isElsewhere ? join(root, BELOW) : '';
}
