import type { cri, Decoded } from '../../proto';
import { removeContainersOf, removeSandboxFromEngine } from '../../containers/engine-ops';
import { findSandbox } from '../../translate/shared/lookup';
import type { CallContext, Services } from '../services';

/** Removes the pod's containers and its sandbox, running or not. An unknown sandbox counts as removed. */
export async function removePodSandbox(
  services: Services,
  request: Decoded<cri.IRemovePodSandboxRequest>,
  { signal }: CallContext,
): Promise<cri.IRemovePodSandboxResponse> {
  const { store, network } = services;
  const sandbox = findSandbox(store, request.pod_sandbox_id);
  if (sandbox === undefined) return {};
  services.life.markStopping(sandbox.id);
  await removeContainersOf(services, sandbox.id, signal);
  await network.detach(sandbox.id, sandbox.pid);
  // A create call that began before the mark may have made another container in the meantime.
  await removeContainersOf(services, sandbox.id, signal);
  await removeSandboxFromEngine(services, sandbox.id, signal);
  return {};
}
