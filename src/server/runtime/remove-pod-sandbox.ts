import { forEachLimited } from '../../lib/concurrency';
import type { cri, Decoded } from '../../proto';
import { findSandbox } from '../lookup';
import type { CallContext, Services } from '../services';

const CONCURRENT_REMOVALS = 8;

/** Removes the pod's containers and its sandbox, running or not. Unknown is success. */
export async function removePodSandbox(
  { docker, store, network, containerSync }: Services,
  request: Decoded<cri.IRemovePodSandboxRequest>,
  { signal }: CallContext,
): Promise<cri.IRemovePodSandboxResponse> {
  const sandbox = findSandbox(store, request.pod_sandbox_id);
  if (sandbox === undefined) return {};
  const remove = async ({ id }: { id: string }): Promise<void> => {
    await docker.removeContainer(id, { signal });
    await containerSync.lock.run(id, () => containerSync.forget(id));
  };
  await forEachLimited(store.containers.ofSandbox(sandbox.id), CONCURRENT_REMOVALS, remove);
  await network.detach(sandbox.id, sandbox.pid);
  await remove(sandbox);
  return {};
}
