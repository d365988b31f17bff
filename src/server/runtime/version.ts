import { unavailable } from '../../lib/errors';
import type { cri } from '../../proto';
import type { Services } from '../services';

/** CRI's own version of the kubelet runtime API, unchanged since its beginning. */
const KUBELET_API_VERSION = '0.1.0';
/** Keeps `docker://` as the prefix of container ids in the cluster. */
const RUNTIME_NAME = 'docker';

export function version({ store, link }: Services): Promise<cri.IVersionResponse> {
  if (store.engine === undefined) {
    // All four strings must be non-empty and true: before the Engine's first answer there is none to give.
    throw unavailable(link.state.ready ? 'Docker Engine has not answered yet' : link.state.reason);
  }
  return Promise.resolve({
    version: KUBELET_API_VERSION,
    runtime_name: RUNTIME_NAME,
    runtime_version: store.engine.engineVersion,
    runtime_api_version: 'v1',
  });
}
