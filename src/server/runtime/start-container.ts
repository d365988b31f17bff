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
 * Starts and inspects a container, with two Engine calls. When this returns, the record says running (or exited) and the
 * CRI log exists.
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
      throw failedPrecondition(`container ${id} has already been started (${container.state})`);
    const sandbox = store.sandboxes.get(container.sandboxId);
    if (sandbox === undefined || !isReady(sandbox)) {
      throw failedPrecondition(`pod sandbox ${container.sandboxId} of container ${id} is not ready`);
    }
    try {
      await startInEngine(docker, id, signal, container.mounts);
    } catch (error) {
      // The call's signal is not passed on. The Engine has recorded most failures, and a cancelled start may still have
      // succeeded.
      await held.refresh(undefined, 'started');
      noteFailure(held, error);
      // A container that is running although its start was cut off must also get its limits.
      await limitInKernel(services, held, container.resources);
      throw error;
    }
    await held.refresh(undefined, 'started');
    await limitInKernel(services, held, container.resources);
  });
  return {};
}

/**
 * Writes the limits that only dockbridge can write. If that fails, the container is killed, because it must not run
 * without them.
 */
async function limitInKernel({ docker, logger }: Services, held: Held, values: KernelValues): Promise<void> {
  const started = held.container;
  if (started === undefined || !isRunning(started) || !hasKernelValues(values)) return;
  try {
    await writeKernelValues(started, values, logger);
  } catch (error) {
    await docker.killContainer(held.id);
    await held.refresh();
    throw error;
  }
  held.put({ ...started, resources: await readKernelValues(started) });
}

/**
 * Records why the Engine refused a start. The Engine does not store the reason when it refuses before it tries to start the
 * container, for instance because a mount source is missing, but kubelet must see this reason.
 */
function noteFailure(held: Held, error: unknown): void {
  const { container } = held;
  if (container === undefined || !isCreated(container) || container.error !== '') return;
  if (error instanceof StartFailure) held.put({ ...container, error: error.engineText });
}
