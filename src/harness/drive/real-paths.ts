import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';

/** The kernel's file systems, which kubelet's pods may need and no directory can replace. */
const KERNEL = ['/dev', '/proc', '/sys'];
/** Mounted only as a whole, because links below it lead to the roots and open files of other processes, and so to any path. */
const ONLY_WHOLE = '/proc';
/** Files of the node that a container can need but must not change. */
const FILES = [
  ...[
    '/lib/modules',
    '/usr/lib/modules',
    '/etc/localtime',
    '/usr/share/zoneinfo',
    '/etc/ssl/certs',
    '/etc/pki',
  ],
  ...['/etc/ca-certificates', '/usr/share/ca-certificates', '/usr/local/share/ca-certificates'],
];

/** A path of this machine that a replay mounts unchanged. */
export interface RealPath {
  readonly path: string;
  readonly isReadOnly: boolean;
}

/**
 * Returns the path to mount if it is a path in KERNEL or FILES or below one, exists, and no link in it leads elsewhere. Below ONLY_WHOLE,
 * no path is returned.
 * @returns undefined if a scratch file or directory must replace the path.
 */
export async function realPath(hostPath: string): Promise<RealPath | undefined> {
  const path = resolve('/', hostPath);
  const kernel = KERNEL.find((root) => isIn(path, root));
  const roots = kernel === undefined ? FILES : [kernel];
  if (!roots.some((root) => isIn(path, root))) return undefined;
  if (kernel === ONLY_WHOLE && path !== ONLY_WHOLE) return undefined;
  const real = await realpath(path).catch(() => undefined);
  if (real === undefined) return undefined;
  const ends = await Promise.all(roots.map(async (root) => realpath(root).catch(() => root)));
  if (!ends.some((root) => isIn(real, root))) return undefined;
  // A slash at the end is kept, so that the path can be compared with the recorded one.
  return { path: hostPath === `${path}/` ? hostPath : path, isReadOnly: kernel === undefined };
}

function isIn(path: string, root: string): boolean {
  return path === root || path.startsWith(`${root}/`);
}
