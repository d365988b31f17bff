import type { cri, Decoded } from '../../proto';
import { getSandbox } from '../../translate/shared/lookup';
import type { Services } from '../services';

/**
 * Does nothing, because kubelet owns the pod's cgroup and has written the values before this call. After a refusal,
 * kubelet would only conclude that the runtime does not support resizing.
 */
export function updatePodSandboxResources(
  { store }: Services,
  request: Decoded<cri.IUpdatePodSandboxResourcesRequest>,
): Promise<cri.IUpdatePodSandboxResourcesResponse> {
  getSandbox(store, request.pod_sandbox_id);
  return Promise.resolve({});
}
