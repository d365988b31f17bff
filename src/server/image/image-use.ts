import type { ImageRecord } from '../../store/records';
import type { Store } from '../../store/store';
import { askedImageName, type AskedImage } from '../../translate/container/container-status';
import type { SandboxImage } from './sandbox-image';

/** The names by which pods ask for one image. */
export interface AskedNames {
  /** The first in alphabetical order. */
  readonly first: string;
  readonly all: ReadonlySet<string>;
}

/**
 * The names by which pods asked for their images and image mounts, by image id. A tag still names what runs after it was
 * moved or removed.
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
 * Which images kubelet's image GC must not remove. It knows only the images of its pods' containers, so these are the sandbox
 * image, earlier sandbox images that still have sandboxes, and the images of containers outside any pod.
 */
export function pinnedImages({ store, sandboxImage }: Pinning): (image: ImageRecord) => boolean {
  const users = [...store.foreign.values(), ...store.sandboxes.values()];
  const used = new Set(users.map(({ imageId }) => imageId));
  return (image) => used.has(image.id) || sandboxImage.isPinned(image);
}
