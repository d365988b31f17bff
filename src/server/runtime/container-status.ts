import type { cri, Decoded } from '../../proto';
import { toCriContainerStatus } from '../../translate/container/container-status';
import { getContainer } from '../../translate/shared/lookup';
import type { CallContext, Services } from '../services';

export async function containerStatus(
  { store, link }: Services,
  request: Decoded<cri.IContainerStatusRequest>,
  { signal }: CallContext,
): Promise<cri.IContainerStatusResponse> {
  await link.whenContainerKnown(request.container_id, signal);
  const container = getContainer(store, request.container_id);
  const { pid, state, engineName, sandboxId, spoolPath, tty, stdin } = container;
  return {
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
  };
}
