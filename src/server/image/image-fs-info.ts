import type { cri } from '../../proto';
import type { Store } from '../../store/store';
import { nanosFromMillis } from '../../translate/shared/time';
import { engineFacts } from '../engine-abilities';
import type { Services } from '../services';

/**
 * Images and writable layers, which Docker keeps on one file system. Bytes are the last measurement (sync/disk-usage.ts),
 * inodes are those of the whole file system, as one statfs tells them: no Engine call, no walk.
 */
export async function imageFsInfo(services: Services): Promise<cri.IImageFsInfoResponse> {
  const { store, settings, usedInodes } = services;
  const { imageDirectory: mountpoint } = engineFacts(services);
  const inodes = settings.localEngine ? await usedInodes.of(mountpoint) : undefined;
  const usage = (bytes: number): cri.IFilesystemUsage => ({
    // The time is that of the inodes, and of the space that kubelet reads itself: it skips thresholds whose time stands still.
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

/** Until it is measured: layers that images share are counted for each. */
function atMost({ images }: Store): number {
  return [...images.values()].reduce((sum, { size }) => sum + size, 0);
}
