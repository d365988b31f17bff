import type { cri } from '../../proto';
import { CgroupDriver } from '../../proto/enums';
import { unavailable } from '../../lib/errors';
import { engineFacts } from '../engine-abilities';
import type { Services } from '../services';

/**
 * Returns the Engine's cgroup driver. If CRI has no word for it, `linux` is left out, because 0 would mean SYSTEMD. While the
 * driver is unknown this fails instead: kubelet asks only once, and would then use its own configuration.
 * @throws UNAVAILABLE before the Engine's first answer to this process: what it said to an earlier one may have changed.
 */
export function runtimeConfig(services: Services): Promise<cri.IRuntimeConfigResponse> {
  const { cgroupDriver } = engineFacts(services);
  if (services.store.isEngineRecalled)
    throw unavailable('Docker Engine does not tell its cgroup driver: /info has not answered');
  const driver = { systemd: CgroupDriver.SYSTEMD, cgroupfs: CgroupDriver.CGROUPFS }[cgroupDriver];
  return Promise.resolve(driver === undefined ? {} : { linux: { cgroup_driver: driver } });
}
