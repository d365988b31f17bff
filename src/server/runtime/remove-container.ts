import type { cri, Decoded } from '../../proto';
import { findContainer } from '../lookup';
import type { CallContext, Services } from '../services';

/** One Engine call; a running container is killed. Unknown is success. */
export async function removeContainer(
  { docker, store, containerSync }: Services,
  request: Decoded<cri.IRemoveContainerRequest>,
  { signal }: CallContext,
): Promise<cri.IRemoveContainerResponse> {
  const container = findContainer(store, request.container_id);
  if (container === undefined) return {};
  const { id } = container;
  await docker.removeContainer(id, { signal });
  await containerSync.lock.run(id, () => containerSync.forget(id));
  return {};
}
