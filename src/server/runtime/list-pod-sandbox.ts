import { mapLazily } from '../../lib/collections';
import type { cri, Decoded } from '../../proto';
import { sandboxFilter } from '../../translate/shared/filters';
import { toCriSandbox } from '../../translate/sandbox/sandbox-status';
import type { Services } from '../services';

export function listPodSandbox(
  services: Services,
  request: Decoded<cri.IListPodSandboxRequest>,
): Promise<cri.IListPodSandboxResponse> {
  return Promise.resolve({ items: [...sandboxesOf(services, request)] });
}

/** All that match now; each is made when it is asked for. */
export function sandboxesOf(
  { store }: Services,
  { filter }: Pick<Decoded<cri.IListPodSandboxRequest>, 'filter'>,
): Iterable<cri.IPodSandbox> {
  return mapLazily([...store.sandboxes.values()].filter(sandboxFilter(filter)), toCriSandbox);
}
