import type { DockerClient } from '../../docker/client';
import { hasStatus } from '../../docker/errors';
import { withDeadline } from '../../lib/async/deadline';
import { failedPrecondition } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import type { ImageRecord } from '../../store/records';
import type { Store } from '../../store/store';
import { required } from '../../translate/shared/validate';
import { findImage } from '../../translate/shared/lookup';
import type { CallContext, Services } from '../services';

/** Limit for listing the images again after a removal that failed half-way. */
const RESYNC_LIMIT_MS = 30_000;

/**
 * Removes an image with all its names, whichever name the request contains. Succeeds when the image is absent. An image
 * that a container uses is refused before any name is removed, and no removal is forced.
 */
export async function removeImage(
  services: Services,
  request: Decoded<cri.IRemoveImageRequest>,
  { signal }: CallContext,
): Promise<cri.IRemoveImageResponse> {
  const { store, imageSync } = services;
  const { id } = findImage(store, required(request.image, 'image').image, 'image.image') ?? {};
  if (id === undefined) return {};
  // Concurrent removals of one image run one after the other, so the second one finds the image gone.
  await imageSync.inTurn(id, signal, async () => {
    const image = store.images.get(id);
    if (image === undefined) return;
    refuseWhileUsed(store, image);
    try {
      await removeAllNames(services, image, signal);
    } catch (error) {
      // Names that were removed before the refusal must also disappear from the store. If the image is the parent of
      // others, the Engine keeps it without names but no longer lists it. For CRI, such an image is gone.
      await withDeadline('The list of images', RESYNC_LIMIT_MS, undefined, (limit) =>
        imageSync.resync(limit),
      ).catch(() => undefined);
      if (hasStatus(error, 409) && store.images.get(id) === undefined) return;
      throw error;
    }
    imageSync.forget(id);
  });
  return {};
}

/** Refuses the removal of an image that a container, a sandbox or a container outside pods uses. */
function refuseWhileUsed({ containers, sandboxes, foreign }: Store, image: ImageRecord): void {
  for (const table of [containers, sandboxes, foreign]) {
    for (const { id, imageId, engineName } of table.values()) {
      if (imageId === image.id)
        throw failedPrecondition(`image ${image.id} is used by container ${id} (${engineName})`);
    }
  }
}

/**
 * Removes an image. By id, the Engine removes either all names or none. It refuses with 409 if the image has names in
 * several repositories or is the parent of other images. Such an image is removed name by name, and the removal of the
 * last name removes the image. A 409 may also mean that a container has begun to use the image since the check; in that
 * case the image keeps its names.
 */
async function removeAllNames({ docker }: Services, image: ImageRecord, signal: AbortSignal): Promise<void> {
  const byId = (): Promise<void> => docker.removeImage(image.id, { signal });
  const { repoTags, repoDigests } = image;
  for (const names of [[], repoTags, repoDigests]) {
    for (const name of names) await docker.removeImage(name, { signal });
    try {
      await byId();
      return;
    } catch (error) {
      if (!hasStatus(error, 409) || names === repoDigests || (await isUsed(docker, image.id, signal)))
        throw error;
    }
  }
}

/**
 * Whether a container uses the image. The status does not show why the Engine refuses, and the error's text must not
 * decide, so the containers are listed. If the list fails, the image counts as used, and the refusal remains.
 */
async function isUsed(docker: DockerClient, imageId: string, signal: AbortSignal): Promise<boolean> {
  const containers = await docker.listContainers({}, { signal }).catch(() => undefined);
  return containers?.some(({ ImageID }) => ImageID === imageId) ?? true;
}
