import { hasStatus } from '../docker/errors';
import { alreadyExists } from '../lib/errors';
import type { ContainerRecord } from '../store/records';
import type { Store } from '../store/store';
import type { CheckedContainer } from '../translate/container/container-check';
import { differences } from '../translate/shared/contents';
import { findImage } from '../translate/shared/lookup';
import type { ContainerServices } from './services';
import { wasStarted } from '../store/states';

/**
 * What becomes of a container of this sandbox that has the wanted name and attempt already. One that was never started and
 * is not what is asked for now is replaced: a call that was lost made it, and kubelet asks with other contents when the
 * pod's surroundings have changed since. So is one that does not tell, of cri-dockerd or of an older version.
 * @returns its id when it is what is asked for; undefined when there is none any more.
 * @throws ALREADY_EXISTS when it was started: then its caller knows it, and wants a second one.
 */
export async function settleHeld(
  { docker, store, containerSync }: Pick<ContainerServices, 'docker' | 'store' | 'containerSync'>,
  { id }: ContainerRecord,
  { contents }: CheckedContainer,
  signal: AbortSignal,
): Promise<string | undefined> {
  // With the lock no StartContainer comes between the look and the removal.
  return containerSync.lock.run(
    id,
    async () => {
      const held = store.containers.get(id);
      if (held === undefined) return undefined;
      const others =
        held.contents && [...differences(held.contents, contents), ...movedImages(store, held)].sort();
      if (wasStarted(held)) throw exists(held, others);
      if (others?.length === 0) return id;
      try {
        await docker.removeContainer(id, { signal, ifStopped: true });
      } catch (error) {
        if (!hasStatus(error, 409)) throw error;
        // Somebody started it behind our back.
        await containerSync.refreshLocked(id);
        throw exists(store.containers.get(id) ?? held, others);
      }
      await containerSync.forget(id);
      return undefined;
    },
    signal,
  );
}

/** The fields whose names mean another image by now. */
function movedImages(store: Store, { image, imageId, mounts }: ContainerRecord): string[] {
  const moved = (name: string, id: string, field: string): string[] => {
    const found = findImage(store, name, field);
    return found === undefined || found.id === id ? [] : [field];
  };
  return [
    ...moved(image, imageId, 'config.image'),
    ...mounts.flatMap((mount, index) =>
      mount.image === undefined
        ? []
        : moved(mount.image.image, mount.image.id, `config.mounts[${index}].image`),
    ),
  ];
}

function exists({ id, metadata, state }: ContainerRecord, others: readonly string[] = []): Error {
  const difference = others.length === 0 ? '' : ` with another ${others.join(', ')}`;
  return alreadyExists(
    `container ${metadata.name} attempt ${metadata.attempt} exists in this sandbox as ${id} (${state})${difference}; use another attempt`,
  );
}
