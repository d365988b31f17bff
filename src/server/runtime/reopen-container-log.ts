import { failedPrecondition } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import { isRunning } from '../../store/states';
import { getContainer } from '../../translate/shared/lookup';
import type { Services } from '../services';

/**
 * After kubelet renamed the log: the new file exists when this returns, the old one grows no more, and every line is
 * in one of the two. No Engine call.
 */
export async function reopenContainerLog(
  { store, logs }: Services,
  request: Decoded<cri.IReopenContainerLogRequest>,
): Promise<cri.IReopenContainerLogResponse> {
  const container = getContainer(store, request.container_id);
  if (container.logPath === '')
    throw failedPrecondition(`container ${container.id} was created without a log_path`);
  // Nothing will be written any more: a new file would only hide the complete one.
  if (!isRunning(container)) {
    throw failedPrecondition(`container ${container.id} is not running (${container.state})`);
  }
  await logs.reopen(container.id);
  return {};
}
