import type { cri, Decoded } from '../../proto';
import { containerStatuses } from '../../translate/container-event';
import { toCriSandboxStatus } from '../../translate/sandbox-status';
import { getSandbox } from '../lookup';
import type { Services } from '../services';

/** With `timestamp` and the containers' statuses, which kubelet's evented PLEG compares with those of events. */
export function podSandboxStatus(
  { store, podEvents }: Services,
  request: Decoded<cri.IPodSandboxStatusRequest>,
): Promise<cri.IPodSandboxStatusResponse> {
  const sandbox = getSandbox(store, request.pod_sandbox_id);
  const { pid, state, engineName, cgroupParent, hostname, logDirectory } = sandbox;
  return Promise.resolve({
    status: toCriSandboxStatus(sandbox),
    containers_statuses: containerStatuses(store.containers.ofSandbox(sandbox.id), (image) =>
      store.images.get(image),
    ),
    timestamp: podEvents.now(),
    info: request.verbose
      ? {
          info: JSON.stringify({ pid, engineState: state, engineName, cgroupParent, hostname, logDirectory }),
        }
      : {},
  });
}
