import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';

/** The kernel's file systems, which a pod of kubelet needs to find really. */
const KERNEL = ['/dev', '/proc', '/sys'];
/** Below it are other processes' roots, working directories and open files, and so every path of this machine. */
const ONLY_WHOLE = '/proc';
/** Files of the node which a container can need, and must not change. */
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

/** How a replay mounts a path of this machine itself. */
export interface RealPath {
  readonly path: string;
  readonly isReadOnly: boolean;
}

/**
 * Whether a mount of a tape gets this machine's own path: one of the above that exists, and whose links lead nowhere else.
 * @returns undefined when something must be made in its place.
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
  // A path that is written in another way, such as with a slash at its end, stays comparable.
  return { path: hostPath === `${path}/` ? hostPath : path, isReadOnly: kernel === undefined };
}

function isIn(path: string, root: string): boolean {
  return path === root || path.startsWith(`${root}/`);
}
