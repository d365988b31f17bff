import type { cri } from '../../proto';
import { CgroupDriver } from '../../proto/enums';
import type { Services } from '../services';

/** The Engine's cgroup driver. Unknown is said by leaving `linux` out: 0 would mean SYSTEMD. */
export function runtimeConfig({ store }: Services): Promise<cri.IRuntimeConfigResponse> {
  const driver = { systemd: CgroupDriver.SYSTEMD, cgroupfs: CgroupDriver.CGROUPFS }[
    store.engine?.cgroupDriver ?? ''
  ];
  return Promise.resolve(driver === undefined ? {} : { linux: { cgroup_driver: driver } });
}
