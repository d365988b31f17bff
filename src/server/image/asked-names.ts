import type { Store } from '../../store/store';
import { askedImageName, type AskedImage } from '../../translate/container/container-status';

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
