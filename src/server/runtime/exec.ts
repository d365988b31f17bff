import { invalidArgument } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import { nonEmpty, withoutNul } from '../../translate/validate';
import { getRunningContainer } from '../lookup';
import type { Services } from '../services';
import { wantedStreams } from './wanted-streams';

/** The URL of a command that starts when its client comes there. No Engine call. */
export function exec(
  { store, streaming }: Services,
  request: Decoded<cri.IExecRequest>,
): Promise<cri.IExecResponse> {
  if (request.cmd.length === 0) throw invalidArgument('cmd', 'is required');
  nonEmpty(request.cmd[0] ?? '', 'cmd[0]');
  request.cmd.forEach((word, index) => withoutNul(word, `cmd[${index}]`));
  const wanted = wantedStreams(request);
  const { id: containerId } = getRunningContainer(store, request.container_id);
  const url = streaming.execUrl({ containerId, command: request.cmd, ...wanted });
  return Promise.resolve({ url });
}
