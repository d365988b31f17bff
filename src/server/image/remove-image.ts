import { hasStatus } from '../../docker/errors';
import { failedPrecondition } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import type { ImageRecord } from '../../store/records';
import { required } from '../../translate/validate';
import { findImage } from '../lookup';
import type { CallContext, Services } from '../services';

/** After a half-done removal. */
const RESYNC_LIMIT_MS = 30_000;

/**
 * Removes the image with all its names, whichever one was given. Absent is success; an image that a container of a
 * pod uses is refused before anything is untagged.
 */
export async function removeImage(
  services: Services,
  request: Decoded<cri.IRemoveImageRequest>,
  { signal }: CallContext,
): Promise<cri.IRemoveImageResponse> {
  const { store, imageSync, reservations } = services;
  const { id } = findImage(store, required(request.image, 'image').image, 'image.image') ?? {};
  if (id === undefined) return {};
  // Concurrent removals of one image take turns; the second finds it gone.
  await reservations.hold(id, signal, async () => {
    const image = store.images.get(id);
    if (image === undefined) return;
    refuseWhileUsed(services, image);
    try {
      await removeAllNames(services, image, signal);
    } catch (error) {
      // Whatever was untagged before the refusal must show.
      imageSync.requestResync(AbortSignal.timeout(RESYNC_LIMIT_MS));
      throw error;
    }
    await imageSync.forget(id);
  });
  return {};
}

function refuseWhileUsed({ store }: Services, image: ImageRecord): void {
  for (const container of store.containers.values()) {
    if (container.imageId === image.id) {
      throw failedPrecondition(
        `image ${image.id} is used by container ${container.id} (${container.metadata.name})`,
      );
    }
  }
}

/** The last tag takes the image with it, unless digests of other repositories still hold it. */
async function removeAllNames({ docker }: Services, image: ImageRecord, signal: AbortSignal): Promise<void> {
  for (const tag of image.repoTags) await docker.removeImage(tag, { signal });
  try {
    await docker.removeImage(image.id, { signal });
  } catch (error) {
    if (!hasStatus(error, 409)) throw error;
    for (const digest of image.repoDigests) await docker.removeImage(digest, { signal });
    await docker.removeImage(image.id, { signal });
  }
}
