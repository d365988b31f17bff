import type { cri, Decoded } from '../../proto';
import { NamespaceMode } from '../../proto/enums';
import type { SandboxRecord } from '../../store/records';
import { isRunning } from '../../store/states';
import { stopContainersOf, stopInEngine } from '../../containers/engine-ops';
import { findSandbox } from '../../translate/shared/lookup';
import type { CallContext, Services } from '../services';

/** A pause process ends at once; this is for one that hangs. */
const PAUSE_GRACE_SECONDS = 5;

/** Stops the pod's containers, then its sandbox. Unknown or stopped already is success. */
export async function stopPodSandbox(
  services: Services,
  request: Decoded<cri.IStopPodSandboxRequest>,
  { signal }: CallContext,
): Promise<cri.IStopPodSandboxResponse> {
  const { store, network } = services;
  const sandbox = findSandbox(store, request.pod_sandbox_id);
  if (sandbox === undefined) {
    // It may have vanished behind our back: its network is still ours to free.
    await network.detach(request.pod_sandbox_id, 0);
    return {};
  }
  services.life.markStopping(sandbox.id);
  await stopContainersOf(services, sandbox.id, signal);
  // While the pause process lives: plugins want to see the namespace.
  await network.detach(sandbox.id, sandbox.pid);
  // A start that was cut off before the mark may have gone on in the Engine meanwhile.
  await stopContainersOf(services, sandbox.id, signal);
  const isHost = sandbox.namespaces.network === NamespaceMode.NODE;
  if (!isHost) await change(services, sandbox.id, { networkReady: false, ips: [] });
  if (!isRunning(sandbox)) return {};
  const stop = (limit: AbortSignal): Promise<boolean> =>
    stopInEngine(services, sandbox.id, PAUSE_GRACE_SECONDS, limit);
  if (await services.teardowns.run(sandbox.id, stop, signal))
    await change(services, sandbox.id, { state: 'exited', pid: 0 });
  return {};
}

/** What we did to a sandbox, into its record; nothing when it is gone. */
async function change({ life }: Services, id: string, what: Partial<SandboxRecord>): Promise<void> {
  await life.withContainer(id, undefined, (held) => {
    if (held.sandbox !== undefined) held.put({ ...held.sandbox, ...what });
    return Promise.resolve();
  });
}
