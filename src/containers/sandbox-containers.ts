import { forEachLimited } from '../lib/async/concurrency';
import type { ContainerServices } from './services';
import { removeFromEngine } from './remove-from-engine';
import { isRunning } from '../store/states';
import { afterStart, stopAndSettle } from './stop-in-engine';

/** Containers are killed, not asked: kubelet has stopped them gracefully before. */
const GRACE_SECONDS = 0;
const CONCURRENT_STOPS = 16;
const CONCURRENT_REMOVALS = 8;

/** From now on nothing is created or started in the sandbox, also while the call that stops it still works. */
export function markStopping({ store }: Pick<ContainerServices, 'store'>, sandboxId: string): void {
  const sandbox = store.sandboxes.get(sandboxId);
  if (sandbox !== undefined && !sandbox.stopping) store.sandboxes.put({ ...sandbox, stopping: true });
}

/** Stops all that runs in the sandbox, and what is just being started there. */
export async function stopContainersOf(
  services: ContainerServices,
  sandboxId: string,
  signal: AbortSignal,
): Promise<void> {
  const containers = services.store.containers.ofSandbox(sandboxId);
  await forEachLimited(containers, CONCURRENT_STOPS, async (known) => {
    const container = await afterStart(services, known, signal);
    if (container === undefined || !isRunning(container)) return;
    await stopAndSettle(services, container.id, GRACE_SECONDS, signal);
  });
}

/** Removes all containers of the sandbox, running or not. */
export async function removeContainersOf(
  services: ContainerServices,
  sandboxId: string,
  signal: AbortSignal,
): Promise<void> {
  const containers = services.store.containers.ofSandbox(sandboxId);
  await forEachLimited(containers, CONCURRENT_REMOVALS, ({ id }) => removeFromEngine(services, id, signal));
}
