import type { ImageRecord } from '../../store/records';
import type { Store } from '../../store/store';
import { askedImageName, type AskedImage } from '../../translate/container/container-status';
import type { SandboxImage } from './sandbox-image';

/** The names that pods have used for one image. */
export interface AskedNames {
  /** The first name in alphabetical order. */
  readonly first: string;
  readonly all: ReadonlySet<string>;
}

/**
 * Returns the names that pods have used for their images and image mounts, by image id. A tag remains in this map after
 * it was moved or removed, as long as a container that was created with it exists.
 */
export function askedNames({ containers }: Pick<Store, 'containers'>): ReadonlyMap<string, AskedNames> {
  const names = new Map<string, { first: string; all: Set<string> }>();
  const note = (asked: AskedImage): void => {
    const name = askedImageName(asked);
    if (name === undefined) return;
    const known = names.get(asked.imageId);
    if (known === undefined) return void names.set(asked.imageId, { first: name, all: new Set([name]) });
    known.all.add(name);
    if (name < known.first) known.first = name;
  };
  for (const container of containers.values()) {
    note(container);
    for (const { image: mounted } of container.mounts)
      // An empty id means that the image was not looked up.
      if (mounted !== undefined && mounted.id !== '')
        note({ userSpecifiedImage: mounted.userSpecified, image: mounted.image, imageId: mounted.id });
  }
  return names;
}

export interface Pinning {
  readonly store: Pick<Store, 'foreign' | 'sandboxes'>;
  readonly sandboxImage: Pick<SandboxImage, 'isPinned'>;
}

/**
 * Returns a function that says whether kubelet's image garbage collection must keep an image. kubelet knows only the
 * images of its pods' containers. The others to keep are the sandbox image, earlier sandbox images that still have
 * sandboxes, and the images of containers outside pods.
 */
export function pinnedImages({ store, sandboxImage }: Pinning): (image: ImageRecord) => boolean {
  const users = [...store.foreign.values(), ...store.sandboxes.values()];
  const used = new Set(users.map(({ imageId }) => imageId));
  return (image) => used.has(image.id) || sandboxImage.isPinned(image);
}
