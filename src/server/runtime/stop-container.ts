import type { cri, Decoded } from '../../proto';
import { integer } from '../../translate/shared/validate';
import { mayRun } from '../../store/states';
import { afterStart, stopAndSettle } from '../../containers/engine-ops';
import { findContainer } from '../../translate/shared/lookup';
import type { CallContext, Services } from '../services';

/**
 * The longest grace period: one year. A longer one makes no difference in practice, and this one is safe for the timers of the
 * Engine and of dockbridge.
 */
const MAX_GRACE_SECONDS = 365 * 24 * 3600;

/**
 * Stops a container with one Engine call, and returns once its record says exited. With a timeout of 0, the container is killed at
 * once. A container that is unknown or does not run counts as stopped.
 */
export async function stopContainer(
  services: Services,
  request: Decoded<cri.IStopContainerRequest>,
  { signal }: CallContext,
): Promise<cri.IStopContainerResponse> {
  const graceSeconds = request.timeout.greaterThan(MAX_GRACE_SECONDS)
    ? MAX_GRACE_SECONDS
    : integer(request.timeout, 'timeout', 0, MAX_GRACE_SECONDS);
  const container = await afterStart(services, findContainer(services.store, request.container_id), signal);
  if (container === undefined || !mayRun(container)) return {};
  await stopAndSettle(services, container.id, graceSeconds, signal);
  return {};
}
