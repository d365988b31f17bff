import type { cri, Decoded } from '../../proto';
import { getSandbox } from '../../translate/shared/lookup';
import type { Services } from '../services';

/**
 * kubelet tells, after it has written them to the pod's control group, which is its own: nothing is left to do. Refusing
 * would only make it believe that the runtime knows of no resize.
 */
export function updatePodSandboxResources(
  { store }: Services,
  request: Decoded<cri.IUpdatePodSandboxResourcesRequest>,
): Promise<cri.IUpdatePodSandboxResourcesResponse> {
  getSandbox(store, request.pod_sandbox_id);
  return Promise.resolve({});
}
