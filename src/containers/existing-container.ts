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
 * Decides what becomes of a container of this sandbox that has the wanted name and attempt already. One that was never
 * started and is not what is asked for now is replaced: a call that was lost made it, and kubelet asks with other contents
 * when the pod's surroundings have changed since. One of cri-dockerd or of an older version, which does not tell what it was
 * made from, is replaced too.
 * @returns its id when it is what is asked for; undefined when it is gone.
 * @throws ALREADY_EXISTS when it was started, because then the caller knows it and wants a second one.
 */
export async function settleExisting(
  { docker, store, life }: Pick<ContainerServices, 'docker' | 'store' | 'life'>,
  { id }: ContainerRecord,
  { contents }: CheckedContainer,
  signal: AbortSignal,
): Promise<string | undefined> {
  // The lock keeps StartContainer from coming between the look and the removal.
  return life.withContainer(id, signal, async (held) => {
    const { container } = held;
    if (container === undefined) return undefined;
    const others =
      container.contents &&
      [...differences(container.contents, contents), ...movedImages(store, container)].sort();
    if (wasStarted(container)) throw exists(container, others);
    if (others?.length === 0) return id;
    try {
      await docker.removeContainer(id, { signal, ifStopped: true });
    } catch (error) {
      if (!hasStatus(error, 409)) throw error;
      // Somebody started it behind our back.
      await held.refresh();
      throw exists(held.container ?? container, others);
    }
    await held.forget();
    return undefined;
  });
}

/** Fields whose image name means another image by now. */
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
