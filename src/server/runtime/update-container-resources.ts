import { failedPrecondition, unsupported } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import { isRunning } from '../../store/states';
import { requireKernelValues, restoreLostValues, writeKernelValues } from '../../containers/limits';
import {
  hasKernelValues,
  mergedKernelValues,
  toKernelValues,
  vitalValues,
} from '../../translate/container/kernel-values';
import { toEngineUpdate, updatedMemory } from '../../translate/container/resources';
import { withField } from '../container/create-failure';
import { getContainer } from '../../translate/shared/lookup';
import type { CallContext, Services } from '../services';

/**
 * Changes the resources of a container with at most two Engine calls, update and inspect. Afterwards the record, and thus
 * ContainerStatus, contains what the Engine reports, even after a refusal.
 */
export async function updateContainerResources(
  { docker, store, life, settings, logger }: Services,
  request: Decoded<cri.IUpdateContainerResourcesRequest>,
  { signal }: CallContext,
): Promise<cri.IUpdateContainerResourcesResponse> {
  const { id } = getContainer(store, request.container_id);
  if (request.windows !== null) throw unsupported('windows', 'this is a Linux node');
  if (Object.keys(request.annotations).length > 0)
    throw unsupported('annotations', 'dockbridge does not use them');
  const { linux } = request;
  if (linux === null) return {};
  await life.withContainer(id, signal, async (held) => {
    const container = getContainer(store, id);
    const update = toEngineUpdate(linux, container.resources, 'linux');
    const kernel = toKernelValues(linux, 'linux', container.resources.memoryLimit);
    await requireKernelValues(kernel, settings.localEngine, 'linux');
    if (hasKernelValues(vitalValues(kernel)) && !isRunning(container))
      throw failedPrecondition(`linux.unified, linux.hugepage_limits: container ${id} is not running`);
    if (update === undefined && !hasKernelValues(kernel)) return;
    try {
      if (update !== undefined) await docker.updateContainer(id, update, { signal }).catch(refused);
      await writeKernelValues(container, kernel, logger);
      const resources = {
        ...updatedMemory(container.resources, update),
        ...mergedKernelValues(container.resources, kernel),
      };
      held.put({ ...container, resources });
      // If systemd is the Engine's cgroup driver, systemd has reset the values that the update does not contain.
      await restoreLostValues({ ...container, resources }, logger);
    } finally {
      // The call's signal is not passed on, because the update may have succeeded before the cancellation.
      await held.refresh();
    }
  });
  return {};
}

function refused(error: unknown): never {
  throw withField(error, 'linux', '');
}
