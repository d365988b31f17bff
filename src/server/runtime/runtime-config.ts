import type { cri } from '../../proto';
import { CgroupDriver } from '../../proto/enums';
import { unavailable } from '../../lib/errors';
import { engineFacts } from '../engine-abilities';
import type { Services } from '../services';

/**
 * Returns the Engine's cgroup driver. If CRI has no name for the driver, `linux` is omitted, because 0 would mean
 * SYSTEMD. While the driver is unknown the call fails, because kubelet calls it only once and would otherwise use its own
 * configuration.
 * @throws UNAVAILABLE before the Engine's first answer to this process, because facts that an earlier process saved may
 * have changed.
 */
export function runtimeConfig(services: Services): Promise<cri.IRuntimeConfigResponse> {
  const { cgroupDriver } = engineFacts(services);
  if (services.store.isEngineRecalled)
    throw unavailable("Docker Engine's cgroup driver is not known yet: /info has not answered");
  const driver = { systemd: CgroupDriver.SYSTEMD, cgroupfs: CgroupDriver.CGROUPFS }[cgroupDriver];
  return Promise.resolve(driver === undefined ? {} : { linux: { cgroup_driver: driver } });
}
