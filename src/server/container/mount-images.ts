import { notFound } from '../../lib/errors';
import type { MountRecord } from '../../store/records';
import type { Store } from '../../store/store';
import { findImage } from '../../translate/shared/lookup';

/**
 * Image mounts with the images they mean; kubelet has pulled them before.
 * @throws NOT_FOUND with the word at the start that kubelet looks for.
 */
export function withMountImages(store: Store, mounts: readonly MountRecord[], field: string): MountRecord[] {
  return mounts.map((mount, index) => {
    if (mount.image === undefined) return mount;
    const at = `${field}[${index}].image.image`;
    const found = findImage(store, mount.image.image, at);
    if (found === undefined) {
      throw notFound(
        `ImageVolumeMountFailed: ${at}: image "${mount.image.image}" is not on this node; pull it first`,
      );
    }
    return { ...mount, image: { ...mount.image, id: found.id } };
  });
}
