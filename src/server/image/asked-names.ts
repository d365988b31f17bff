import type { Store } from '../../store/store';
import { askedImageName, type AskedImage } from '../../translate/container-status';

/**
 * The names by which pods asked for their images, also for those that they mount, by image id; of several names the first
 * in the alphabet. A tag that moved on, or was removed, still is the name of what runs.
 */
export function askedNames({ containers }: Pick<Store, 'containers'>): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  const note = (asked: AskedImage): void => {
    const name = askedImageName(asked);
    const known = names.get(asked.imageId);
    if (name !== undefined && (known === undefined || name < known)) names.set(asked.imageId, name);
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
