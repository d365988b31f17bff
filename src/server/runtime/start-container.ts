import { failedPrecondition } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import { isReady } from '../../translate/sandbox-status';
import { getContainer } from '../lookup';
import type { CallContext, Services } from '../services';

/** Start and inspect: two Engine calls. When it returns the record says running (or exited) and the CRI log exists. */
export async function startContainer(
  { docker, store, containerSync }: Services,
  request: Decoded<cri.IStartContainerRequest>,
  { signal }: CallContext,
): Promise<cri.IStartContainerResponse> {
  const { id } = getContainer(store, request.container_id);
  await containerSync.lock.run(
    id,
    async () => {
      const container = getContainer(store, id);
      if (container.state !== 'created' || !container.startedAt.isZero() || container.error !== '') {
        throw failedPrecondition(`container ${id} was started already (${container.state})`);
      }
      const sandbox = store.sandboxes.get(container.sandboxId);
      if (sandbox === undefined || !isReady(sandbox)) {
        throw failedPrecondition(`pod sandbox ${container.sandboxId} of container ${id} is not ready`);
      }
      try {
        await docker.startContainer(id, { signal });
      } finally {
        // Also after a failure, which the Engine has noted (ContainerCannotRun), and after a cancel, which may have
        // come too late: so without the call's signal.
        await containerSync.refreshLocked(id);
      }
    },
    signal,
  );
  return {};
}
