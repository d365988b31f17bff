import type { cri, Decoded } from '../../proto';
import { sandboxFilter } from '../../translate/filters';
import { toCriSandbox } from '../../translate/sandbox-status';
import type { Services } from '../services';

export function listPodSandbox(
  { store }: Services,
  request: Decoded<cri.IListPodSandboxRequest>,
): Promise<cri.IListPodSandboxResponse> {
  const wanted = sandboxFilter(request.filter);
  return Promise.resolve({ items: [...store.sandboxes.values()].filter(wanted).map(toCriSandbox) });
}
