import type { cri, Decoded } from '../../proto';
import { integer } from '../../translate/shared/validate';
import { isRunning } from '../../store/states';
import { afterStart, stopAndSettle } from '../../containers/engine-ops';
import { findContainer } from '../../translate/shared/lookup';
import type { CallContext, Services } from '../services';

/** A year: indistinguishable from a longer one, and safe for the Engine's timers and our own. */
const MAX_GRACE_SECONDS = 365 * 24 * 3600;

/** One Engine call. Unknown or not running is success. Returns once the record says exited. */
export async function stopContainer(
  services: Services,
  request: Decoded<cri.IStopContainerRequest>,
  { signal }: CallContext,
): Promise<cri.IStopContainerResponse> {
  const graceSeconds = request.timeout.greaterThan(MAX_GRACE_SECONDS)
    ? MAX_GRACE_SECONDS
    : integer(request.timeout, 'timeout', 0, MAX_GRACE_SECONDS);
  const container = await afterStart(services, findContainer(services.store, request.container_id), signal);
  if (container === undefined || !isRunning(container)) return {};
  await stopAndSettle(services, container.id, graceSeconds, signal);
  return {};
}
