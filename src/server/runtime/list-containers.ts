import type { cri, Decoded } from '../../proto';
import { toCriContainer } from '../../translate/container-status';
import { containerFilter } from '../../translate/filters';
import type { Services } from '../services';

export function listContainers(
  { store }: Services,
  request: Decoded<cri.IListContainersRequest>,
): Promise<cri.IListContainersResponse> {
  const wanted = containerFilter(request.filter);
  const containers = [...store.containers.values()]
    .filter(wanted)
    .map((container) => toCriContainer(container, store.images.get(container.imageId)));
  return Promise.resolve({ containers });
}
