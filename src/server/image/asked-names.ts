import type { Store } from '../../store/store';
import { askedImageName } from '../../translate/container-status';

/**
 * The names by which pods asked for their images, by image id; of several names the first in the alphabet. A tag that
 * moved on, or was removed, still is the name of what runs.
 */
export function askedNames({ containers }: Pick<Store, 'containers'>): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const container of containers.values()) {
    const name = askedImageName(container);
    const known = names.get(container.imageId);
    if (name !== undefined && (known === undefined || name < known)) names.set(container.imageId, name);
  }
  return names;
}
