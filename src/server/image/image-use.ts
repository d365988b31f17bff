import type { ImageRecord } from '../../store/records';
import type { Store } from '../../store/store';
import { askedImageName, type AskedImage } from '../../translate/container/container-status';
import type { SandboxImage } from './sandbox-image';

/** The names by which pods ask for one image. */
export interface AskedNames {
  /** In the alphabet. */
  readonly first: string;
  readonly all: ReadonlySet<string>;
}

/**
 * The names by which pods asked for their images, also for those that they mount, by image id. A tag that moved on, or was
 * removed, still is the name of what runs.
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
      // Without an id it has not been looked up.
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
 * Which images kubelet's image GC must leave alone, for it knows only what its own pods' containers use: the sandbox
 * image, former ones that still have sandboxes, and those of containers that are no pods'.
 */
export function pinnedImages({ store, sandboxImage }: Pinning): (image: ImageRecord) => boolean {
  const users = [...store.foreign.values(), ...store.sandboxes.values()];
  const used = new Set(users.map(({ imageId }) => imageId));
  return (image) => used.has(image.id) || sandboxImage.isPinned(image);
}
