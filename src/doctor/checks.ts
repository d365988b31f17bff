import type { Check } from './check';
import { cni } from './checks/cni';
import { crictl } from './checks/crictl';
import { configuration, criDockerd, criSocket } from './checks/dockbridge';
import { clock, daemonJson, engine, liveRestore, pauseImage } from './checks/engine';
import { cgroupDriver, kubeletEndpoint, kubeletStats } from './checks/kubelet';
import { disk, inotify, openFiles, programs, rights } from './checks/node';

/**
 * The name of the line about a failed search of /proc. The search is not in the list of checks, because other checks need its
 * result.
 */
export const PROCESSES = 'processes';

/** All checks, in the order of the report: kubelet, dockbridge, the Engine, the node. */
export const CHECKS: readonly Check[] = [
  rights,
  kubeletStats,
  kubeletEndpoint,
  cgroupDriver,
  configuration,
  criSocket,
  criDockerd,
  crictl,
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
