import { statfs } from 'node:fs/promises';
import { unavailable } from '../../lib/errors';
import type { cri } from '../../proto';
import { nanosFromMillis } from '../../translate/time';
import type { Services } from '../services';

/**
 * Use of the file system that holds the Engine's images, from the image table and one statfs: no Engine call.
 * `used_bytes` counts shared layers once per image, so it is an upper bound. Containers' layers are on the same file
 * system and not measured, so nothing is said of them; inodes only where the Engine's data root is ours to see.
 */
export async function imageFsInfo({ store, link, settings }: Services): Promise<cri.IImageFsInfoResponse> {
  if (store.engine === undefined) {
    throw unavailable(link.state.ready ? 'Docker Engine has not answered yet' : link.state.reason);
  }
  const mountpoint = store.engine.rootDir;
  let imageBytes = 0;
  for (const image of store.images.values()) imageBytes += image.size;
  const inodes = settings.localEngine ? await usedInodes(mountpoint) : undefined;
  return {
    image_filesystems: [
      {
        timestamp: nanosFromMillis(Date.now()),
        fs_id: { mountpoint },
        used_bytes: { value: imageBytes },
        ...(inodes === undefined ? {} : { inodes_used: { value: inodes } }),
      },
    ],
  };
}

async function usedInodes(path: string): Promise<number | undefined> {
  try {
    const { files, ffree } = await statfs(path);
    return files - ffree;
  } catch {
    return undefined;
  }
}
