import type { cri, Decoded } from '../../proto';
import { toCriSandboxStatus } from '../../translate/sandbox-status';
import { getSandbox } from '../lookup';
import type { Services } from '../services';

/** `timestamp` and `containers_statuses` stay unset: they promise container events (cri-surface.md 3.2). */
export function podSandboxStatus(
  { store }: Services,
  request: Decoded<cri.IPodSandboxStatusRequest>,
): Promise<cri.IPodSandboxStatusResponse> {
  const sandbox = getSandbox(store, request.pod_sandbox_id);
  const { pid, state, engineName, cgroupParent, hostname, logDirectory } = sandbox;
  return Promise.resolve({
    status: toCriSandboxStatus(sandbox),
    info: request.verbose
      ? {
          info: JSON.stringify({ pid, engineState: state, engineName, cgroupParent, hostname, logDirectory }),
        }
      : {},
  });
}
