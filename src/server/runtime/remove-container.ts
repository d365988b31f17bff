import type { cri, Decoded } from '../../proto';
import { removeFromEngine } from '../../containers/engine-ops';
import { findContainer } from '../../translate/shared/lookup';
import type { CallContext, Services } from '../services';

/** Removes a container with one Engine call. A running container is killed. An unknown container counts as removed. */
export async function removeContainer(
  services: Services,
  request: Decoded<cri.IRemoveContainerRequest>,
  { signal }: CallContext,
): Promise<cri.IRemoveContainerResponse> {
  const container = findContainer(services.store, request.container_id);
  if (container !== undefined) await removeFromEngine(services, container.id, signal);
  return {};
}
