import { failedPrecondition } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import { integer } from '../../translate/shared/validate';
import { isReady } from '../../store/states';
import { getSandbox } from '../../translate/shared/lookup';
import type { Services } from '../services';

/** Returns the URL of a session that forwards connections into the pod. Makes no Engine call. */
export function portForward(
  { store, streaming }: Services,
  request: Decoded<cri.IPortForwardRequest>,
): Promise<cri.IPortForwardResponse> {
  const sandbox = getSandbox(store, request.pod_sandbox_id);
  const ports = request.port.map((port, index) => integer(port, `port[${index}]`, 1, 65_535));
  if (!isReady(sandbox)) throw failedPrecondition(`pod sandbox ${sandbox.id} is not ready`);
  return Promise.resolve({ url: streaming.portForwardUrl({ sandboxId: sandbox.id, ports }) });
}
