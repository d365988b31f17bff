import type { cri } from '../../proto';
import { NamespaceMode, PodSandboxState } from '../../proto/enums';
import type { SandboxRecord } from '../../store/records';
import { isReady } from '../../store/states';

export function sandboxState(sandbox: SandboxRecord): PodSandboxState {
  return isReady(sandbox) ? PodSandboxState.SANDBOX_READY : PodSandboxState.SANDBOX_NOTREADY;
}

/** Converts a record to an element of ListPodSandbox. */
export function toCriSandbox(sandbox: SandboxRecord): cri.IPodSandbox {
  return {
    id: sandbox.id,
    metadata: sandbox.metadata,
    state: sandboxState(sandbox),
    created_at: sandbox.createdAt,
    labels: sandbox.labels,
    annotations: sandbox.annotations,
    runtime_handler: sandbox.runtimeHandler,
  };
}

/** Converts a record to a PodSandboxStatus. */
export function toCriSandboxStatus(sandbox: SandboxRecord): cri.IPodSandboxStatus {
  const { network, pid, ipc } = sandbox.namespaces;
  return {
    ...toCriSandbox(sandbox),
    network: network === NamespaceMode.NODE ? null : toCriNetwork(sandbox),
    linux: { namespaces: { options: { network, pid, ipc } } },
  };
}

/** Returns the pod's addresses. A pod that is not ready has none. */
function toCriNetwork(sandbox: SandboxRecord): cri.IPodSandboxNetworkStatus {
  const [ip = '', ...additional] = isReady(sandbox) ? sandbox.ips : [];
  return { ip, additional_ips: additional.map((other) => ({ ip: other })) };
}
