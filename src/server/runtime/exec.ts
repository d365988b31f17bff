import type { cri, Decoded } from '../../proto';
import { commandWords, wantedStreams } from '../exec/command';
import { getRunningContainer } from '../../translate/shared/lookup';
import type { Services } from '../services';

/** Returns the URL of a command, which starts when a client connects to the URL. Makes no Engine call. */
export function exec(
  { store, streaming }: Services,
  request: Decoded<cri.IExecRequest>,
): Promise<cri.IExecResponse> {
  const command = commandWords(request.cmd);
  const wanted = wantedStreams(request);
  const { id: containerId } = getRunningContainer(store, request.container_id);
  const url = streaming.execUrl({ containerId, command, ...wanted });
  return Promise.resolve({ url });
}
