import { hasStatus } from '../docker/errors';
import { withDeadline } from '../lib/async/deadline';
import type { ContainerRecord } from '../store/records';
import type { ContainerServices } from './services';
import { isRunning } from '../store/states';

/** The Engine's event of a death comes with the end of the stop call; this long we wait before asking instead. */
const SETTLE_MS = 1_000;

/**
 * The record once a start that is under way has ended: it says `created` until then, and a container that starts after
 * its stop would run on in a pod that kubelet believes stopped.
 */
export async function afterStart(
  { store, containerSync }: ContainerServices,
  container: ContainerRecord | undefined,
  signal: AbortSignal,
): Promise<ContainerRecord | undefined> {
  if (container?.state !== 'created') return container;
  await containerSync.lock.run(container.id, () => Promise.resolve(), signal);
  return store.containers.get(container.id);
}

/**
 * Stops a container or sandbox.
 * @returns false when it had vanished behind our back: stopped enough, and its record is up to date.
 */
export async function stopInEngine(
  { docker, containerSync, sessions }: ContainerServices,
  id: string,
  graceSeconds: number,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await sessions.hurryDuring(id, () => docker.stopContainer(id, graceSeconds, { signal }));
    return true;
  } catch (error) {
    if (!hasStatus(error, 404)) throw error;
    await containerSync.refresh(id, signal);
    return false;
  }
}

/** Stops a container and waits until the store knows, from the event or, when that does not come, by asking. */
export async function stopAndSettle(
  services: ContainerServices,
  id: string,
  graceSeconds: number,
  signal: AbortSignal,
): Promise<void> {
  if (!(await stopInEngine(services, id, graceSeconds, signal))) return;
  const { store, containerSync } = services;
  try {
    await withDeadline('The event of a stopped container', SETTLE_MS, signal, (limit) =>
      store.containers.waitFor(id, (record) => !isRunning(record), limit),
    );
  } catch {
    signal.throwIfAborted();
    await containerSync.refresh(id, signal);
  }
}
