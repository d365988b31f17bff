import { mapLazily } from '../../lib/collections';
import { cri, type Decoded } from '../../proto';
import { encodeChunks, type Encoded } from '../../proto/service';
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
 * Returns all containers that match at the time of the call. Each message is built when it is read. Right after the
 * start, some containers are known only from the Engine's list, whose values suffice for this answer.
 */
export function containersOf(
  { store }: Services,
  { filter }: Pick<Decoded<cri.IListContainersRequest>, 'filter'>,
): Iterable<cri.IContainer> {
  const listed = [...store.listed.records()].filter(({ id }) => store.containers.get(id) === undefined);
  const records = [...store.containers.values(), ...listed].filter(containerFilter(filter));
  return mapLazily(records, (record) => toCriContainer(record, store.images.get(record.imageId)));
}

/**
 * Streams the answer of ListContainers, for more containers than fit into one message. The containers are those at the
 * time of the call.
 */
export function streamContainers(
  services: Services,
  request: Decoded<cri.IStreamContainersRequest>,
): Iterable<Encoded> {
  return encodeChunks(cri.Container, containersOf(services, request));
}
