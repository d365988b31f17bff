import { forEachLimited } from '../../lib/concurrency';
import type { cri, Decoded } from '../../proto';
import { findSandbox } from '../lookup';
import type { CallContext, Services } from '../services';
import { isRunning, stopAndSettle } from './stop-container';

/** Containers are killed, not asked: kubelet has stopped them gracefully before (cri-surface.md 3.2). */
const CONTAINER_GRACE_SECONDS = 0;
/** A pause process ends at once; this is for one that hangs. */
const PAUSE_GRACE_SECONDS = 5;
const CONCURRENT_STOPS = 16;

/** Stops the pod's containers, then its sandbox. Unknown or stopped already is success. */
export async function stopPodSandbox(
  services: Services,
  request: Decoded<cri.IStopPodSandboxRequest>,
  { signal }: CallContext,
): Promise<cri.IStopPodSandboxResponse> {
  const { docker, store, network, containerSync } = services;
  const sandbox = findSandbox(store, request.pod_sandbox_id);
  if (sandbox === undefined) {
    // It may have vanished behind our back: its network is still ours to free.
    await network.detach(request.pod_sandbox_id, 0);
    return {};
  }
  const running = store.containers.ofSandbox(sandbox.id).filter(isRunning);
  await forEachLimited(running, CONCURRENT_STOPS, (container) =>
    stopAndSettle(services, container.id, CONTAINER_GRACE_SECONDS, signal),
  );
  // While the pause process lives: plugins want to see the namespace.
  await network.detach(sandbox.id, sandbox.pid);
  if (isRunning(sandbox)) {
    await docker.stopContainer(sandbox.id, PAUSE_GRACE_SECONDS, { signal });
    await containerSync.lock.run(sandbox.id, () => {
      const now = store.sandboxes.get(sandbox.id);
      if (now !== undefined && isRunning(now)) store.sandboxes.put({ ...now, state: 'exited', pid: 0 });
      return Promise.resolve();
    });
  }
  return {};
}
