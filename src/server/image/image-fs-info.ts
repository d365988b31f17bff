import { statfs } from 'node:fs/promises';
import { withDeadline } from '../../lib/deadline';
import { unavailable } from '../../lib/errors';
import { abortable } from '../../lib/keyed-lock';
import type { cri } from '../../proto';
import type { Store } from '../../store/store';
import { nanosFromMillis } from '../../translate/time';
import type { Services } from '../services';

/** statfs of a dead network disk never returns. */
const STATFS_MS = 2_000;

/**
 * Images and writable layers, which Docker keeps on one file system. Bytes are the last measurement (sync/disk-usage.ts),
 * inodes are those of the whole file system, as one statfs tells them: no Engine call, no walk.
 */
export async function imageFsInfo({ store, link, settings }: Services): Promise<cri.IImageFsInfoResponse> {
  const { engine, diskUsage } = store;
  if (engine === undefined) {
    throw unavailable(link.state.ready ? 'Docker Engine has not answered yet' : link.state.reason);
  }
  const { imageDirectory: mountpoint } = engine;
  const inodes = settings.localEngine ? await usedInodes(mountpoint) : undefined;
  const usage = (bytes: number): cri.IFilesystemUsage => ({
    timestamp: nanosFromMillis(Date.now()),
    fs_id: { mountpoint },
    used_bytes: { value: bytes },
    ...(inodes === undefined ? {} : { inodes_used: { value: inodes } }),
  });
  return {
    image_filesystems: [usage(diskUsage?.imageBytes ?? atMost(store))],
    container_filesystems: [usage(diskUsage?.containerBytes ?? 0)],
  };
}

/** Until it is measured: layers that images share are counted for each. */
function atMost({ images }: Store): number {
  return [...images.values()].reduce((sum, { size }) => sum + size, 0);
}

/** Undefined where a file system has no fixed number of them (btrfs). */
async function usedInodes(path: string): Promise<number | undefined> {
  try {
    const { files, ffree } = await withDeadline('statfs', STATFS_MS, undefined, (signal) =>
      abortable(statfs(path), signal),
    );
    return files === 0 ? undefined : files - ffree;
  } catch {
    return undefined;
  }
}
