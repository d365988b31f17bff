import { mapLazily } from '../../lib/collections';
import { cri, type Decoded } from '../../proto';
import { encodeChunks, type Encoded } from '../../proto/service';
import { toCriSandbox } from '../../translate/sandbox/sandbox-status';
import { sandboxFilter } from '../../translate/shared/filters';
import type { Services } from '../services';

export function listPodSandbox(
  services: Services,
  request: Decoded<cri.IListPodSandboxRequest>,
): Promise<cri.IListPodSandboxResponse> {
  return Promise.resolve({ items: [...sandboxesOf(services, request)] });
}

/** Returns all sandboxes that match at the time of the call. Each message is built when it is read. */
export function sandboxesOf(
  { store }: Services,
  { filter }: Pick<Decoded<cri.IListPodSandboxRequest>, 'filter'>,
): Iterable<cri.IPodSandbox> {
  return mapLazily([...store.sandboxes.values()].filter(sandboxFilter(filter)), toCriSandbox);
}

/**
 * Streams the answer of ListPodSandbox, for more pods than fit into one message. The pods are those at the time of the
 * call.
 */
export function streamPodSandboxes(
  services: Services,
  request: Decoded<cri.IStreamPodSandboxesRequest>,
): Iterable<Encoded> {
  return encodeChunks(cri.PodSandbox, sandboxesOf(services, request));
}
