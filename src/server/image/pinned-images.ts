import type { ImageRecord } from '../../store/records';
import type { Store } from '../../store/store';
import type { SandboxImage } from './sandbox-image';

export interface Pinning {
  readonly store: Pick<Store, 'foreign' | 'sandboxes'>;
  readonly sandboxImage: Pick<SandboxImage, 'isPinned'>;
}

/**
 * Which images kubelet's image GC must leave alone, for it knows only what its own pods' containers use: the sandbox
 * image, former ones that still have sandboxes, and those of containers that are no pods'.
 */
export function pinnedImages({ store, sandboxImage }: Pinning): (image: ImageRecord) => boolean {
  const users = [...store.foreign.values(), ...store.sandboxes.values()];
  const used = new Set(users.map(({ imageId }) => imageId));
  return (image) => used.has(image.id) || sandboxImage.isPinned(image);
}
