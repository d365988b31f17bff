import type { cri, Decoded } from '../../proto';
import { NamespaceMode } from '../../proto/enums';
import type { SandboxRecord } from '../../store/records';
import { mayRun } from '../../store/states';
import { stopContainersOf, stopInEngine } from '../../containers/engine-ops';
import { findSandbox } from '../../translate/shared/lookup';
import type { CallContext, Services } from '../services';

/** Grace period of a pause process. It ends at once on SIGTERM, so only a hanging process needs this time. */
const PAUSE_GRACE_SECONDS = 5;

/** Stops the pod's containers and then its sandbox. Succeeds if the sandbox is unknown or already stopped. */
export async function stopPodSandbox(
  services: Services,
  request: Decoded<cri.IStopPodSandboxRequest>,
  { signal }: CallContext,
): Promise<cri.IStopPodSandboxResponse> {
  const { store, network } = services;
  const sandbox = findSandbox(store, request.pod_sandbox_id);
  if (sandbox === undefined) {
    // The sandbox may have vanished unnoticed. Its network must still be freed.
    await network.detach(request.pod_sandbox_id, 0);
    return {};
  }
  services.life.markStopping(sandbox.id);
  await stopContainersOf(services, sandbox.id, signal);
  // The network is detached while the pause process lives, because plugins look at its network namespace.
  await network.detach(sandbox.id, sandbox.pid);
  // Containers are stopped once more, because a start may have been in progress when the pod was marked. Even if that start's
  // call was cut off, the Engine may have completed it after the first stop.
  await stopContainersOf(services, sandbox.id, signal);
  const isHost = sandbox.namespaces.network === NamespaceMode.NODE;
  if (!isHost) await change(services, sandbox.id, { networkReady: false, ips: [] });
  if (!mayRun(sandbox)) return {};
  const stop = (limit: AbortSignal): Promise<boolean> =>
    stopInEngine(services, sandbox.id, PAUSE_GRACE_SECONDS, limit);
  if (await services.teardowns.run(sandbox.id, stop, signal))
    await change(services, sandbox.id, { state: 'exited', pid: 0 });
  return {};
}

/** Updates the fields in `what` of the sandbox's record. Does nothing if the sandbox has been removed in the meantime. */
async function change({ life }: Services, id: string, what: Partial<SandboxRecord>): Promise<void> {
  await life.withContainer(id, undefined, (held) => {
    if (held.sandbox !== undefined) held.put({ ...held.sandbox, ...what });
    return Promise.resolve();
  });
}
