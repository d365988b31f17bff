import { forEachLimited } from '../../lib/concurrency';
import type { cri, Decoded } from '../../proto';
import { removeFromEngine } from '../container/remove-from-engine';
import { findSandbox } from '../lookup';
import type { CallContext, Services } from '../services';

const CONCURRENT_REMOVALS = 8;

/** Removes the pod's containers and its sandbox, running or not. Unknown is success. */
export async function removePodSandbox(
  services: Services,
  request: Decoded<cri.IRemovePodSandboxRequest>,
  { signal }: CallContext,
): Promise<cri.IRemovePodSandboxResponse> {
  const { store, network } = services;
  const sandbox = findSandbox(store, request.pod_sandbox_id);
  if (sandbox === undefined) return {};
  await forEachLimited(store.containers.ofSandbox(sandbox.id), CONCURRENT_REMOVALS, ({ id }) =>
    removeFromEngine(services, id, signal),
  );
  await network.detach(sandbox.id, sandbox.pid);
  await removeFromEngine(services, sandbox.id, signal);
  return {};
}
