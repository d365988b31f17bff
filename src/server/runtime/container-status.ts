import type { cri, Decoded } from '../../proto';
import { toCriContainerStatus } from '../../translate/container-status';
import { getContainer } from '../lookup';
import type { Services } from '../services';

export function containerStatus(
  { store }: Services,
  request: Decoded<cri.IContainerStatusRequest>,
): Promise<cri.IContainerStatusResponse> {
  const container = getContainer(store, request.container_id);
  const { pid, state, engineName, sandboxId, spoolPath, tty, stdin } = container;
  return Promise.resolve({
    status: toCriContainerStatus(container, store.images.get(container.imageId)),
    info: request.verbose
      ? {
          info: JSON.stringify({
            sandboxID: sandboxId,
            pid,
            engineState: state,
            engineName,
            spoolPath,
            tty,
            stdin,
          }),
        }
      : {},
  });
}
