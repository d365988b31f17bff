import { isAbsolute, normalize } from 'node:path';
import { invalidArgument, RuntimeError } from '../../lib/errors';
import type { cri, Decoded } from '../../proto';
import { integer, nonEmpty } from '../../translate/shared/validate';
import { checkpointToArchive, hasProgram } from '../checkpoint/checkpoint-to-archive';
import { getRunningContainer } from '../../translate/shared/lookup';
import type { CallContext, Services } from '../services';

/** When the request has no limit. */
const DEFAULT_TIMEOUT_SECONDS = 120;
const MAX_TIMEOUT_SECONDS = 24 * 3600;

/**
 * Writes CRIU's images of the container's processes into a tar at `location`; the container keeps running. The tar does not
 * hold the writable layer, which the Engine does not provide.
 */
export async function checkpointContainer(
  services: Services,
  request: Decoded<cri.ICheckpointContainerRequest>,
  { signal }: CallContext,
): Promise<cri.ICheckpointContainerResponse> {
  const { docker, store } = services;
  const { id } = getRunningContainer(store, request.container_id);
  const location = normalize(nonEmpty(request.location, 'location'));
  if (!isAbsolute(location) || location.endsWith('/'))
    throw invalidArgument('location', `${request.location} is not the absolute path of a file`);
  const seconds = integer(request.timeout, 'timeout', 0, MAX_TIMEOUT_SECONDS) || DEFAULT_TIMEOUT_SECONDS;
  const obstacle = await obstacleTo(services);
  if (obstacle !== undefined) throw new RuntimeError('UNIMPLEMENTED', `no checkpoints here: ${obstacle}`);
  await checkpointToArchive({ docker, id, location, timeoutMs: seconds * 1000, signal });
  return {};
}

/** kubelet says "not supported" only when the answer is UNIMPLEMENTED. */
async function obstacleTo({ store, settings }: Services): Promise<string | undefined> {
  if (!settings.localEngine) return 'the Engine runs on another machine, and location is a path of this one';
  if (store.engine?.experimental !== true)
    return 'Docker Engine makes them only with "experimental": true in its daemon.json';
  if (!(await hasProgram('criu', process.env.PATH))) return 'CRIU (criu) is not installed on this node';
  return undefined;
}
