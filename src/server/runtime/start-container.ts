import { failedPrecondition } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import type { KernelValues } from '../../store/records';
import { readKernelValues, writeKernelValues } from '../../containers/limits';
import { hasKernelValues } from '../../translate/container/kernel-values';
import { isCreated, isReady, isRunning, wasStarted } from '../../store/states';
import { startInEngine, StartFailure } from '../../containers/engine-ops';
import type { Held } from '../../containers/life';
import { getContainer } from '../../translate/shared/lookup';
import type { CallContext, Services } from '../services';

/**
 * Starts and inspects the container, with two Engine calls. When this returns, the record says running (or exited) and the CRI
 * log exists.
 */
export async function startContainer(
  services: Services,
  request: Decoded<cri.IStartContainerRequest>,
  { signal }: CallContext,
): Promise<cri.IStartContainerResponse> {
  const { docker, store, life } = services;
  const { id } = getContainer(store, request.container_id);
  await life.withContainer(id, signal, async (held) => {
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
      // This does not use the call's signal: the Engine has noted most failures, and a cancel may have come too late.
      await held.refresh(undefined, 'started');
      noteFailure(held, error);
      // A container that runs although its start was cut off must not run without its limits either.
      await limitInKernel(services, held, container.resources);
      throw error;
    }
    await held.refresh(undefined, 'started');
    await limitInKernel(services, held, container.resources);
  });
  return {};
}

/** A container must not run without limits that it was given, and that only we can write. */
async function limitInKernel({ docker, logger }: Services, held: Held, values: KernelValues): Promise<void> {
  const started = held.container;
  if (started === undefined || !isRunning(started) || !hasKernelValues(values)) return;
  try {
    await writeKernelValues(started, values, logger);
  } catch (error) {
    await docker.stopContainer(held.id, 0);
    await held.refresh();
    throw error;
  }
  held.put({ ...started, resources: await readKernelValues(started) });
}

/**
 * The Engine does not remember a refusal that came before it tried, such as a missing mount source, but kubelet must see it.
 */
function noteFailure(held: Held, error: unknown): void {
  const { container } = held;
  if (container === undefined || !isCreated(container) || container.error !== '') return;
  if (error instanceof StartFailure) held.put({ ...container, error: error.engineText });
}
