import { execFile } from 'node:child_process';
import { mkdir, open, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { parseMountinfo } from '../mountinfo';

const run = promisify(execFile);
const MOUNT_TIMEOUT_MS = 10_000;

/**
 * Where `ip netns`, containerd and CRI-O name network namespaces, so where agents in pods (Multus, Cilium, meshnet) look
 * for them. /var/run is a link to /run wherever it matters.
 */
export const NAMESPACE_DIRECTORY = '/run/netns';

/** Under a lock, as `ip netns` does it: of two that bind at a time, one would hide what the other mounts below. */
const SHARE =
  'mount --make-shared "$1" 2>/dev/null || { mount --rbind "$1" "$1" && mount --make-shared "$1"; }';

/**
 * Makes the directory, and makes sure that what is mounted in it appears in pods that have mounted it with
 * HostToContainer. Where it lies on no shared mount (systemd makes all of them shared, nobody else does), it becomes one of
 * its own, as `ip netns add` makes it.
 */
export async function shareDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o755 });
  if (await isOnSharedMount(directory)) return;
  const wait = ['--wait', String(MOUNT_TIMEOUT_MS / 1_000)];
  await run('flock', [...wait, directory, 'sh', '-c', SHARE, 'sh', directory], {
    timeout: 2 * MOUNT_TIMEOUT_MS,
  });
}

/** The kernel says which mount an open directory is on; paths alone do not, where one mount hides another. */
async function isOnSharedMount(directory: string): Promise<boolean> {
  const handle = await open(directory);
  try {
    const info = await readFile(`/proc/self/fdinfo/${handle.fd}`, 'utf8');
    const id = /^mnt_id:\s*(\d+)$/m.exec(info)?.[1];
    const mounts = parseMountinfo(await readFile('/proc/self/mountinfo', 'utf8'));
    return mounts.find((mount) => mount.id === id)?.isShared ?? false;
  } finally {
    await handle.close();
  }
}
