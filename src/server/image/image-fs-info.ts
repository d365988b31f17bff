import type { cri } from '../../proto';
import type { Store } from '../../store/store';
import { nanosFromMillis } from '../../translate/shared/time';
import { engineFacts } from '../engine-abilities';
import type { Services } from '../services';

/**
 * Returns the usage of images and writable layers, which Docker stores on one file system. The bytes come from the last
 * measurement (sync/disk-usage.ts) and the inodes from one statfs of the whole file system, so this makes no Engine call
 * and walks no directory.
 */
export async function imageFsInfo(services: Services): Promise<cri.IImageFsInfoResponse> {
  const { store, settings, usedInodes } = services;
  const { imageDirectory: mountpoint } = engineFacts(services);
  const inodes = settings.localEngine ? await usedInodes.of(mountpoint) : undefined;
  const usage = (bytes: number): cri.IFilesystemUsage => ({
    // kubelet skips thresholds whose timestamp has not advanced, so this is the present time, at which the inodes were
    // read.
    timestamp: nanosFromMillis(Date.now()),
    fs_id: { mountpoint },
    used_bytes: { value: bytes },
    ...(inodes === undefined ? {} : { inodes_used: { value: inodes } }),
  });
  return {
    image_filesystems: [usage(store.diskUsage?.imageBytes ?? atMost(store))],
    container_filesystems: [usage(store.diskUsage?.containerBytes ?? 0)],
  };
}

/**
 * Returns an upper bound in bytes, used until the first measurement. A layer that images share counts once for each
 * image.
 */
function atMost({ images }: Store): number {
  return [...images.values()].reduce((sum, { size }) => sum + size, 0);
}
