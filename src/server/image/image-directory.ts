import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { EngineFacts } from '../../store/records';

/** Where containerd of distributions keeps everything. */
const SYSTEM_CONTAINERD = '/var/lib/containerd';

/**
 * The directory with images and writable layers, whose file system kubelet watches. The Engine's own store has one below
 * its root for each driver, which may be a disk of its own; containerd's is below the root of the containerd in use:
 * the Engine's private one, else the system's.
 * @param localEngine whether the Engine's directories are ours to see; if not, its root is all we know.
 */
export async function imageDirectory(engine: EngineFacts, localEngine: boolean): Promise<string> {
  const { rootDir, storageDriver } = engine;
  const snapshotter = `io.containerd.snapshotter.v1.${storageDriver}`;
  const candidates = engine.containerdStore
    ? [join(rootDir, 'containerd/daemon', snapshotter), join(SYSTEM_CONTAINERD, snapshotter)]
    : [join(rootDir, storageDriver)];
  for (const path of localEngine ? candidates : []) if (await isDirectory(path)) return path;
  return rootDir;
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}
