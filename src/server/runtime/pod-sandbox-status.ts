import type { cri, Decoded } from '../../proto';
import { containerStatuses } from '../../translate/shared/lifecycle';
import { toCriSandboxStatus } from '../../translate/sandbox/sandbox-status';
import { mayRun } from '../../store/states';
import { getSandbox } from '../../translate/shared/lookup';
import type { CallContext, Services } from '../services';

/**
 * Returns the status of a pod. The answer has no `timestamp`. If it had one, a kubelet with evented PLEG would build the
 * pod's status from this answer alone, and kubelet 1.37 would then miss init containers. Without a timestamp, kubelet
 * requests the status of each container (docs/adr/0016-events-from-the-store.md).
 */
export async function podSandboxStatus(
  services: Services,
  request: Decoded<cri.IPodSandboxStatusRequest>,
  { signal }: CallContext,
): Promise<cri.IPodSandboxStatusResponse> {
  const { store, link } = services;
  await link.whenPodKnown(request.pod_sandbox_id, signal);
  const info = request.verbose ? { info: await details(services, request.pod_sandbox_id, signal) } : {};
  const sandbox = getSandbox(store, request.pod_sandbox_id);
  return {
    status: toCriSandboxStatus(sandbox),
    containers_statuses: containerStatuses(store.containers.ofSandbox(sandbox.id), (image) =>
      store.images.get(image),
    ),
    info,
  };
}

/** Returns details for `crictl inspectp` as JSON. kubelet never requests them. */
async function details(
  { store, network }: Services,
  podSandboxId: string,
  signal: AbortSignal,
): Promise<string> {
  const sandbox = getSandbox(store, podSandboxId);
  const { pid, state, engineName, cgroupParent, hostname, logDirectory } = sandbox;
  const networkTrouble = mayRun(sandbox) ? await network.troubleOf(sandbox, signal) : '';
  return JSON.stringify({
    pid,
    engineState: state,
    engineName,
    cgroupParent,
    hostname,
    logDirectory,
    networkTrouble,
  });
}
