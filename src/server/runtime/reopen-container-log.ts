import { failedPrecondition } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import { mayRun } from '../../store/states';
import { getContainer } from '../../translate/shared/lookup';
import type { Services } from '../services';

/**
 * Opens a new log after kubelet has renamed the old one. When this returns, the new file exists, the old file no longer
 * grows, and every line is in one of the two files. Makes no Engine call.
 */
export async function reopenContainerLog(
  { store, logs }: Services,
  request: Decoded<cri.IReopenContainerLogRequest>,
): Promise<cri.IReopenContainerLogResponse> {
  const container = getContainer(store, request.container_id);
  if (container.logPath === '')
    throw failedPrecondition(`container ${container.id} was created without a log_path`);
  // No more output will be written, and a new file would only hide the complete one.
  if (!mayRun(container)) {
    throw failedPrecondition(`container ${container.id} is not running (${container.state})`);
  }
  await logs.reopen(container.id);
  return {};
}
