import type { cri } from '../../proto';
import { CgroupDriver } from '../../proto/enums';
import { engineFacts } from '../engine-facts';
import type { Services } from '../services';

/**
 * The Engine's cgroup driver. One that CRI has no word for is said by leaving `linux` out: 0 would mean SYSTEMD. One that the
 * Engine has yet to tell is no such case: kubelet asks once, and would then believe its own configuration.
 * @throws UNAVAILABLE before the Engine's first answer.
 */
export function runtimeConfig(services: Services): Promise<cri.IRuntimeConfigResponse> {
  const { cgroupDriver } = engineFacts(services);
  const driver = { systemd: CgroupDriver.SYSTEMD, cgroupfs: CgroupDriver.CGROUPFS }[cgroupDriver];
  return Promise.resolve(driver === undefined ? {} : { linux: { cgroup_driver: driver } });
}
