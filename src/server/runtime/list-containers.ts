import { mapLazily } from '../../lib/map-lazily';
import type { cri, Decoded } from '../../proto';
import { toCriContainer } from '../../translate/container-status';
import { containerFilter } from '../../translate/filters';
import type { Services } from '../services';

export function listContainers(
  services: Services,
  request: Decoded<cri.IListContainersRequest>,
): Promise<cri.IListContainersResponse> {
  return Promise.resolve({ containers: [...containersOf(services, request)] });
}

/** All that match now; each is made when it is asked for. */
export function containersOf(
  { store }: Services,
  { filter }: Pick<Decoded<cri.IListContainersRequest>, 'filter'>,
): Iterable<cri.IContainer> {
  const records = [...store.containers.values()].filter(containerFilter(filter));
  return mapLazily(records, (record) => toCriContainer(record, store.images.get(record.imageId)));
}
