import type { ImageRecord } from '../../store/records';
import type { Services } from '../services';

/**
 * Which images kubelet's image GC must leave alone, for it knows only what its own pods' containers use: the sandbox
 * image, and those of containers that are no pods'.
 */
export function pinnedImages({
  store,
  sandboxImage,
}: Pick<Services, 'store' | 'sandboxImage'>): (image: ImageRecord) => boolean {
  const ofOthers = new Set([...store.foreign.values()].map(({ imageId }) => imageId));
  return (image) => ofOthers.has(image.id) || sandboxImage.isPinned(image);
}
