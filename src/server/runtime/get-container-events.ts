import type { BroadcastReader } from '../../lib/async/broadcast';
import type { cri } from '../../proto';
import { toCriEvent, type PodEvent } from '../../translate/shared/lifecycle';
import type { CallContext, Services } from '../services';

/**
 * Streams events until the client disconnects. A client that does not keep up gets an error; kubelet then connects again
 * and lists its pods.
 */
export function getContainerEvents(
  services: Services,
  _request: unknown,
  { signal }: CallContext,
): AsyncIterable<cri.IContainerEventResponse> {
  return follow(services, services.podEvents.subscribe(), signal);
}

async function* follow(
  { store }: Services,
  events: BroadcastReader<PodEvent>,
  signal: AbortSignal,
): AsyncGenerator<cri.IContainerEventResponse> {
  try {
    for (;;) yield toCriEvent(await events.next(signal), (id) => store.images.get(id));
  } finally {
    events.close();
  }
}
