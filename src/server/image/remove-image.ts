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

/** Time for reading the images again after a removal that failed half-way. */
const RESYNC_LIMIT_MS = 30_000;

/**
 * Removes the image with all its names, whichever of them was given. An absent image is a success. An image that a container
 * uses is refused before any name is removed, and nothing is forced.
 */
export async function removeImage(
  services: Services,
  request: Decoded<cri.IRemoveImageRequest>,
  { signal }: CallContext,
): Promise<cri.IRemoveImageResponse> {
  const { store, imageSync } = services;
  const { id } = findImage(store, required(request.image, 'image').image, 'image.image') ?? {};
  if (id === undefined) return {};
  // Concurrent removals of one image take turns; the second finds it gone.
  await imageSync.inTurn(id, signal, async () => {
    const image = store.images.get(id);
    if (image === undefined) return;
    refuseWhileUsed(store, image);
    try {
      await removeAllNames(services, image, signal);
    } catch (error) {
      // Names that were removed before the refusal must disappear from the store, too. The Engine keeps an image without
      // names that is the parent of others, but no longer lists it; for CRI it is gone.
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

/** Also looks at sandboxes and at containers outside any pod. */
function refuseWhileUsed({ containers, sandboxes, foreign }: Store, image: ImageRecord): void {
  for (const table of [containers, sandboxes, foreign]) {
    for (const { id, imageId, engineName } of table.values()) {
      if (imageId === image.id)
        throw failedPrecondition(`image ${image.id} is used by container ${id} (${engineName})`);
    }
  }
}

/**
 * By id the Engine removes all names or nothing, but refuses with 409 an image with names in several repositories and one
 * that others were built from. These are removed name by name, and the last name takes the image with it. A 409 may also
 * mean that a container has begun to use the image since we looked: then it keeps its names.
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
 * The status does not tell why the Engine refuses, and its text must not decide, so the Engine is asked for the users. Without an
 * answer there may be one, and the refusal stands.
 */
async function isUsed(docker: DockerClient, imageId: string, signal: AbortSignal): Promise<boolean> {
  const containers = await docker.listContainers({}, { signal }).catch(() => undefined);
  return containers?.some(({ ImageID }) => ImageID === imageId) ?? true;
}
