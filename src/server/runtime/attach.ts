import type { cri, Decoded } from '../../proto';
import { wantedStreams } from '../exec/command';
import { getRunningContainer } from '../../translate/shared/lookup';
import type { Services } from '../services';

/** Returns the URL at which a client can attach to the container's first process. Makes no Engine call. */
export function attach(
  { store, streaming }: Services,
  request: Decoded<cri.IAttachRequest>,
): Promise<cri.IAttachResponse> {
  const wanted = wantedStreams(request);
  const { id: containerId } = getRunningContainer(store, request.container_id);
  return Promise.resolve({ url: streaming.attachUrl({ containerId, ...wanted }) });
}
