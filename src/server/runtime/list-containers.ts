import { mapLazily } from '../../lib/collections';
import type { cri, Decoded } from '../../proto';
import { toCriContainer } from '../../translate/container/container-status';
import { containerFilter } from '../../translate/shared/filters';
import type { Services } from '../services';

export function listContainers(
  services: Services,
  request: Decoded<cri.IListContainersRequest>,
): Promise<cri.IListContainersResponse> {
  return Promise.resolve({ containers: [...containersOf(services, request)] });
}

/**
 * All that match now; each is made when it is asked for. Right after the start some are only known from the Engine's list,
 * which tells enough for this answer.
 */
export function containersOf(
  { store }: Services,
  { filter }: Pick<Decoded<cri.IListContainersRequest>, 'filter'>,
): Iterable<cri.IContainer> {
  const listed = [...store.listed.records()].filter(({ id }) => store.containers.get(id) === undefined);
  const records = [...store.containers.values(), ...listed].filter(containerFilter(filter));
  return mapLazily(records, (record) => toCriContainer(record, store.images.get(record.imageId)));
}
