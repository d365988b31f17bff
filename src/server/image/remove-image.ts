import { hasStatus } from '../../docker/errors';
import { failedPrecondition, messageOf } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import type { ImageRecord } from '../../store/records';
import type { Store } from '../../store/store';
import { required } from '../../translate/shared/validate';
import { findImage } from '../../translate/shared/lookup';
import type { CallContext, Services } from '../services';

/** After a half-done removal. */
const RESYNC_LIMIT_MS = 30_000;
/** Only the text tells which of the reasons for a 409 it is: in use, a parent, or several repositories. */
const IN_USE = /\bused by (running|stopped) container|\bcontainer \S+ is using\b/;

/**
 * Removes the image with all its names, whichever one was given. Absent is success; an image that a container uses is
 * refused before anything is untagged, and nothing is forced.
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
      // Whatever was untagged before the refusal must show. An image without names that is the parent of others is kept
      // by the Engine, but is none of its list any more: gone for all that CRI can see.
      await imageSync.resync(AbortSignal.timeout(RESYNC_LIMIT_MS)).catch(() => undefined);
      if (hasStatus(error, 409) && store.images.get(id) === undefined) return;
      throw error;
    }
    imageSync.forget(id);
  });
  return {};
}

/** Also of other containers than those of pods, and of sandboxes. */
function refuseWhileUsed({ containers, sandboxes, foreign }: Store, image: ImageRecord): void {
  for (const table of [containers, sandboxes, foreign]) {
    for (const { id, imageId, engineName } of table.values()) {
      if (imageId === image.id)
        throw failedPrecondition(`image ${image.id} is used by container ${id} (${engineName})`);
    }
  }
}

/**
 * By id the Engine removes all or nothing, but refuses an image with names in several repositories and one that others
 * were built from: then one name after the other. The last one takes the image with it. An image that a container has
 * taken since we looked keeps its names.
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
      if (!hasStatus(error, 409) || IN_USE.test(messageOf(error)) || names === repoDigests) throw error;
    }
  }
}
