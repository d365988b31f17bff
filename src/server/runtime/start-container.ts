import { failedPrecondition } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import type { KernelValues } from '../../store/records';
import type { Store } from '../../store/store';
import { readKernelValues, writeKernelValues } from '../../containers/limits';
import { hasKernelValues } from '../../translate/container/kernel-values';
import { isReady, wasStarted } from '../../store/states';
import { startInEngine, StartFailure } from '../../containers/start-in-engine';
import { getContainer } from '../../translate/shared/lookup';
import type { CallContext, Services } from '../services';

/** Start and inspect: two Engine calls. When it returns the record says running (or exited) and the CRI log exists. */
export async function startContainer(
  services: Services,
  request: Decoded<cri.IStartContainerRequest>,
  { signal }: CallContext,
): Promise<cri.IStartContainerResponse> {
  const { docker, store, containerSync } = services;
  const { id } = getContainer(store, request.container_id);
  await containerSync.lock.run(
    id,
    async () => {
      const container = getContainer(store, id);
      if (wasStarted(container))
        throw failedPrecondition(`container ${id} was started already (${container.state})`);
      const sandbox = store.sandboxes.get(container.sandboxId);
      if (sandbox === undefined || !isReady(sandbox)) {
        throw failedPrecondition(`pod sandbox ${container.sandboxId} of container ${id} is not ready`);
      }
      try {
        await startInEngine(docker, id, signal, container.mounts);
      } catch (error) {
        // The Engine has noted most failures, and a cancel may have come too late: so without the call's signal.
        await containerSync.refreshStarted(id);
        noteFailure(store, id, error);
        // What runs though its start was cut off must not run without its limits either.
        await limitInKernel(services, id, container.resources);
        throw error;
      }
      await containerSync.refreshStarted(id);
      await limitInKernel(services, id, container.resources);
    },
    signal,
  );
  return {};
}

/** A container must not run without limits that it was given, and that only we can write. */
async function limitInKernel(
  { docker, store, containerSync, logger }: Services,
  id: string,
  values: KernelValues,
): Promise<void> {
  const started = store.containers.get(id);
  if (started?.state !== 'running' || !hasKernelValues(values)) return;
  try {
    await writeKernelValues(started, values, logger);
  } catch (error) {
    await docker.stopContainer(id, 0);
    await containerSync.refreshLocked(id);
    throw error;
  }
  store.containers.put({ ...started, resources: await readKernelValues(started) });
}

/** The Engine forgets a refusal that came before it tried, such as a mount's source that has gone; kubelet must not. */
function noteFailure(store: Store, id: string, error: unknown): void {
  const container = store.containers.get(id);
  if (container?.state !== 'created' || container.error !== '') return;
  if (error instanceof StartFailure) store.containers.put({ ...container, error: error.engineText });
}
