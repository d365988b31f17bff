import type { cri } from '../../proto';
import { engineFacts } from '../engine-abilities';
import type { Services } from '../services';

/** CRI's own version of the kubelet runtime API, which has never changed. */
const KUBELET_API_VERSION = '0.1.0';
/** This name keeps `docker://` as the prefix of container ids in the cluster. */
const RUNTIME_NAME = 'docker';

/**
 * Returns CRI's four version strings, none of which may be empty. If the Engine has not answered this process yet, the Engine's
 * version is taken from the facts that an earlier process stored.
 * @throws UNAVAILABLE when no version of the Engine is known.
 */
export function version(services: Services): Promise<cri.IVersionResponse> {
  return Promise.resolve({
    version: KUBELET_API_VERSION,
    runtime_name: RUNTIME_NAME,
    runtime_version: services.store.engineVersion ?? engineFacts(services).engineVersion,
    runtime_api_version: 'v1',
  });
}
