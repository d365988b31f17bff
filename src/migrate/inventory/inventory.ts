import type { NodeFacts } from '../facts';
import type { Finding, Severity } from '../finding';
import { access } from './access';
import { containerd } from './containerd';
import type { Choices, Theme } from './finding-of';
import { host } from './host';
import { images } from './images';
import { kubelet } from './kubelet';
import { network } from './network';
import { nodeFiles } from './node-files';
import { nodeKind } from './node-kind';
import { outside } from './outside';
import { registries } from './registries';
import { settings } from './settings';

/** In the order of the report, within one severity. */
const THEMES: readonly Theme[] = [
  nodeKind,
  nodeFiles,
  network,
  outside,
  access,
  settings,
  registries,
  images,
  kubelet,
  containerd,
  host,
];

const ORDER: readonly Severity[] = ['block', 'change', 'review', 'ok'];

/** Returns what the migration of this node has to deal with, the worst first. The same facts give the same findings. */
export function takeInventory(
  facts: NodeFacts,
  choices: Choices = { keepDocker: false },
): readonly Finding[] {
  const found = THEMES.flatMap((theme) => theme(facts, choices));
  return ORDER.flatMap((severity) => found.filter((one) => one.severity === severity));
}

/** Places where Docker leaves traces on a node. */
const TRACES = ['docker.service', 'docker.socket'];

/** Whether there is any sign of Docker on the node, running or not. */
export function hasDocker({ engine, files, directories, processes, host: machine }: NodeFacts): boolean {
  return (
    engine !== undefined ||
    directories['/run']?.includes('docker.sock') === true ||
    processes?.programs.some(({ name }) => name === 'dockerd') === true ||
    machine.disks.some(({ path, existing }) => path === '/var/lib/docker' && existing === path) ||
    Object.keys(files).some(
      (path) => path === '/etc/docker/daemon.json' || TRACES.some((unit) => path.endsWith(`/${unit}`)),
    )
  );
}
