import { hasStatus } from '../../docker/errors';
import { withDeadline } from '../../lib/deadline';
import type { cri, Decoded } from '../../proto';
import type { ContainerRecord, EngineState } from '../../store/records';
import { integer } from '../../translate/validate';
import { findContainer } from '../lookup';
import type { CallContext, Services } from '../services';

/** A year: far above any grace period, and safe for the Engine's and our own timers. */
const MAX_GRACE_SECONDS = 365 * 24 * 3600;
/** The Engine's event of a death comes with the end of the stop call; this long we wait before asking instead. */
const SETTLE_MS = 1_000;

/** One Engine call. Unknown or not running is success. Returns once the record says exited. */
export async function stopContainer(
  services: Services,
  request: Decoded<cri.IStopContainerRequest>,
  { signal }: CallContext,
): Promise<cri.IStopContainerResponse> {
  const container = await afterStart(services, findContainer(services.store, request.container_id), signal);
  const graceSeconds = integer(request.timeout, 'timeout', 0, MAX_GRACE_SECONDS);
  if (container === undefined || !isRunning(container)) return {};
  await stopAndSettle(services, container.id, graceSeconds, signal);
  return {};
}

const STOPPED: readonly EngineState[] = ['created', 'exited', 'dead', 'removing'];

/** Also true for a container whose state is unknown: stopping one that has ended does no harm. */
export function isRunning(record: { readonly state: EngineState }): boolean {
  return !STOPPED.includes(record.state);
}

/**
 * The record once a start that is under way has ended: it says `created` until then, and a container that starts after
 * its stop would run on in a pod that kubelet believes stopped.
 */
export async function afterStart(
  { store, containerSync }: Services,
  container: ContainerRecord | undefined,
  signal: AbortSignal,
): Promise<ContainerRecord | undefined> {
  if (container?.state !== 'created') return container;
  await containerSync.lock.run(container.id, () => Promise.resolve(), signal);
  return store.containers.get(container.id);
}

/** Stops a container and waits until the store knows, from the event or, when that does not come, by asking. */
export async function stopAndSettle(
  { docker, store, containerSync }: Services,
  id: string,
  graceSeconds: number,
  signal: AbortSignal,
): Promise<void> {
  try {
    await docker.stopContainer(id, graceSeconds, { signal });
  } catch (error) {
    if (!hasStatus(error, 404)) throw error;
    // It vanished behind our back: stopped enough.
    await containerSync.refresh(id, signal);
    return;
  }
  try {
    await withDeadline('The event of a stopped container', SETTLE_MS, signal, (limit) =>
      store.containers.waitFor(id, (record) => !isRunning(record), limit),
    );
  } catch {
    signal.throwIfAborted();
    await containerSync.refresh(id, signal);
  }
}
