import type { cri, Decoded } from '../../proto';
import { NamespaceMode } from '../../proto/enums';
import type { SandboxRecord } from '../../store/records';
import { mayRun } from '../../store/states';
import { stopContainersOf, stopInEngine } from '../../containers/engine-ops';
import { findSandbox } from '../../translate/shared/lookup';
import type { CallContext, Services } from '../services';

/** A pause process ends at once on SIGTERM. Only one that hangs takes this long. */
const PAUSE_GRACE_SECONDS = 5;

/** Stops the pod's containers, then its sandbox. If the sandbox is unknown or already stopped, the call succeeds. */
export async function stopPodSandbox(
  services: Services,
  request: Decoded<cri.IStopPodSandboxRequest>,
  { signal }: CallContext,
): Promise<cri.IStopPodSandboxResponse> {
  const { store, network } = services;
  const sandbox = findSandbox(store, request.pod_sandbox_id);
  if (sandbox === undefined) {
    // The sandbox may have vanished without us. We must still free its network.
    await network.detach(request.pod_sandbox_id, 0);
    return {};
  }
  services.life.markStopping(sandbox.id);
  await stopContainersOf(services, sandbox.id, signal);
  // The network is detached while the pause process lives, because plugins look at its namespace.
  await network.detach(sandbox.id, sandbox.pid);
  // The Engine may have gone on with a start whose call was cut off before we set the mark.
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

/** Writes into the record what we did to the sandbox, unless the sandbox is gone. */
async function change({ life }: Services, id: string, what: Partial<SandboxRecord>): Promise<void> {
  await life.withContainer(id, undefined, (held) => {
    if (held.sandbox !== undefined) held.put({ ...held.sandbox, ...what });
    return Promise.resolve();
  });
}
