import { readdir } from 'node:fs/promises';
import { posix } from 'node:path';

/** Made anew in each container by the runtime, or another file system's own. */
const OF_CONTAINER = new Set([
  ...['console', 'fd', 'full', 'mqueue', 'null', 'ptmx', 'pts', 'random', 'shm', 'tty', 'urandom', 'zero'],
  ...['.lxc', '.lxd-mounts', '.udev'],
]);
/** A node has some hundreds; a broken /dev must not make a create call of megabytes. */
const MAX_DEVICES = 4096;

/** Device nodes below `root`, links not followed: what a privileged container gets. */
export async function listHostDevices(root = '/dev'): Promise<string[]> {
  const found: string[] = [];
  const directories = [root];
  for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
    // A device or directory that goes away meanwhile is none.
    const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      if (OF_CONTAINER.has(entry.name) && directory === root) continue;
      const path = posix.join(directory, entry.name);
      if (entry.isDirectory()) directories.push(path);
      else if (entry.isCharacterDevice() || entry.isBlockDevice()) found.push(path);
      if (found.length >= MAX_DEVICES) return found;
    }
  }
  return found;
}
