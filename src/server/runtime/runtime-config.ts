import type { cri } from '../../proto';
import { CgroupDriver } from '../../proto/enums';
import { unavailable } from '../../lib/errors';
import { engineFacts } from '../engine-abilities';
import type { Services } from '../services';

/**
 * The Engine's cgroup driver. One that CRI has no word for is said by leaving `linux` out: 0 would mean SYSTEMD. One that the
 * Engine has yet to tell is no such case: kubelet asks once, and would then believe its own configuration.
 * @throws UNAVAILABLE before the Engine's first answer to this process: what it said to an earlier one may have changed.
 */
export function runtimeConfig(services: Services): Promise<cri.IRuntimeConfigResponse> {
  const { cgroupDriver } = engineFacts(services);
  if (services.store.isEngineRecalled)
    throw unavailable('Docker Engine does not tell its cgroup driver: /info has not answered');
  const driver = { systemd: CgroupDriver.SYSTEMD, cgroupfs: CgroupDriver.CGROUPFS }[cgroupDriver];
  return Promise.resolve(driver === undefined ? {} : { linux: { cgroup_driver: driver } });
}
