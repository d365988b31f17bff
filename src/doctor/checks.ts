import type { Check } from './check';
import { cgroupDriver } from './checks/cgroup-driver';
import { clock } from './checks/clock';
import { cni } from './checks/cni';
import { configuration } from './checks/configuration';
import { criDockerd } from './checks/cri-dockerd';
import { criSocket } from './checks/cri-socket';
import { daemonJson } from './checks/daemon-json';
import { disk } from './checks/disk';
import { engine } from './checks/engine';
import { inotify } from './checks/inotify';
import { kubeletEndpoint } from './checks/kubelet-endpoint';
import { kubeletStats } from './checks/kubelet-stats';
import { liveRestore } from './checks/live-restore';
import { openFiles } from './checks/open-files';
import { pauseImage } from './checks/pause-image';
import { programs } from './checks/programs';
import { rights } from './checks/rights';

/** The line of a /proc that could not be searched; not in the list, for the others need what it finds. */
export const PROCESSES = 'processes';

/** In the order of the report: kubelet, dockbridge, the Engine, the node. */
export const CHECKS: readonly Check[] = [
  rights,
  kubeletStats,
  kubeletEndpoint,
  cgroupDriver,
  configuration,
  criSocket,
  criDockerd,
  engine,
  liveRestore,
  daemonJson,
  pauseImage,
  clock,
  cni,
  programs,
  openFiles,
  inotify,
  disk,
];
