import type { cri } from '../../proto';
import { engineFacts } from '../engine-abilities';
import type { Services } from '../services';

/** CRI's own version of the kubelet runtime API, which has never changed. */
const KUBELET_API_VERSION = '0.1.0';
/** This name keeps `docker://` as the prefix of container ids in the cluster. */
const RUNTIME_NAME = 'docker';

/** Returns CRI's four version strings. All must be non-empty and true, so this fails before the Engine's first answer. */
export function version(services: Services): Promise<cri.IVersionResponse> {
  return Promise.resolve({
    version: KUBELET_API_VERSION,
    runtime_name: RUNTIME_NAME,
    runtime_version: services.store.engineVersion ?? engineFacts(services).engineVersion,
    runtime_api_version: 'v1',
  });
}
