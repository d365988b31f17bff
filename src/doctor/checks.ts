import type { Check } from './check';
import { cni } from './checks/cni';
import { configuration, criDockerd, criSocket } from './checks/dockbridge';
import { clock, daemonJson, engine, liveRestore, pauseImage } from './checks/engine';
import { cgroupDriver, kubeletEndpoint, kubeletStats } from './checks/kubelet';
import { disk, inotify, openFiles, programs, rights } from './checks/node';

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
