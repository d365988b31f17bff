import { join } from 'node:path';
import { mapLimited } from '../../lib/async/concurrency';
import type { FileFacts } from '../facts';
import type { NodeRoot } from './node-root';
import { fileFacts } from './redacted';

const CONCURRENCY = 8;
/** How many files of one directory are read. */
const MAX_FILES = 200;

/** Files that are read wherever they exist. */
const FILES = [
  '/etc/os-release',
  '/etc/docker/daemon.json',
  '/etc/containerd/config.toml',
  '/etc/crio/crio.conf',
  '/etc/containers/registries.conf',
  '/etc/crictl.yaml',
  '/etc/cri-dockerd/config.yaml',
  '/etc/dockbridge/config.yaml',
  '/var/lib/kubelet/config.yaml',
  '/var/lib/kubelet/instance-config.yaml',
  '/var/lib/kubelet/kubeadm-flags.env',
  '/etc/default/docker',
  '/etc/default/kubelet',
  '/etc/sysconfig/docker',
  '/etc/sysconfig/kubelet',
  '/etc/sysctl.conf',
  '/etc/modules',
];

/** Directories whose files with these endings are read. */
const FILES_IN: readonly (readonly [directory: string, endings: RegExp])[] = [
  ['/etc/cni/net.d', /\.(conf|conflist|json)$/],
  ['/etc/sysctl.d', /\.conf$/],
  ['/usr/lib/sysctl.d', /\.conf$/],
  ['/etc/modules-load.d', /\.conf$/],
  ['/etc/containerd/conf.d', /\.toml$/],
  ['/etc/crio/crio.conf.d', /\.conf$/],
  ['/etc/containers/registries.conf.d', /\.conf$/],
];

/** Where packages and administrators put units. The first place with a unit wins (systemd.unit(5)). */
const UNIT_DIRECTORIES = ['/etc/systemd/system', '/usr/local/lib/systemd/system', '/usr/lib/systemd/system'];
const LEGACY_UNITS = '/lib/systemd/system';
const UNITS = [
  'docker.service',
  'docker.socket',
  'containerd.service',
  'crio.service',
  'kubelet.service',
  'cri-docker.service',
  'cri-docker.socket',
  'cri-dockerd.service',
  'cri-dockerd.socket',
  'dockbridge.service',
  'dockbridge.socket',
  'k3s.service',
  'k3s-agent.service',
];

/** The directory with the links of enabled units. */
export const UNIT_LINKS = '/etc/systemd/system';

/** Directories of which only names are known, and how deep. Their files may be keys, or belong to somebody else. */
const NAMES: readonly (readonly [directory: string, depth: number])[] = [
  ['/etc/docker/certs.d', 2],
  ['/etc/containerd/certs.d', 2],
  ['/etc/containers/certs.d', 2],
  [UNIT_LINKS, 2],
  ['/etc/kubernetes/manifests', 1],
  ['/opt/cni/bin', 1],
  ['/usr/lib/cni', 1],
  ['/usr/libexec/cni', 1],
  ['/var/lib/minikube', 1],
  ['/etc/rancher', 1],
  ['/etc/kubernetes', 1],
  ['/kind', 1],
  ['/run', 1],
  ['/run/containerd', 1],
  ['/run/crio', 1],
  ['/run/docker/containerd', 1],
];

/** The names that are wanted of directories with many others. */
const KINDS: Readonly<Record<string, RegExp>> = {
  '/run': /\.sock$/,
  [UNIT_LINKS]: /\.(wants|requires)\/[^/]+$/,
};

/** Reads the node's configuration files. */
export async function readFiles(
  node: NodeRoot,
  more: readonly string[] = [],
): Promise<Record<string, FileFacts>> {
  const paths = [
    ...FILES,
    ...more,
    ...(
      await mapLimited(FILES_IN, CONCURRENCY, ([directory, endings]) => within(node, directory, endings))
    ).flat(),
    ...(await unitFiles(node)),
  ];
  const read = await mapLimited([...new Set(paths)].sort(), CONCURRENCY, async (path) => {
    const text = await node.text(path);
    return text === undefined ? [] : [[path, fileFacts(path, text)] as const];
  });
  return Object.fromEntries(read.flat());
}

/**
 * Lists the directories of which names are enough. `/run` is searched for sockets only, and systemd's directory for links.
 * @param more directories whose own names are wanted, too.
 */
export async function readDirectories(
  node: NodeRoot,
  more: readonly string[] = [],
): Promise<Record<string, readonly string[]>> {
  const known = new Set(NAMES.map(([directory]) => directory));
  const others = [...new Set(more)].filter((directory) => !known.has(directory));
  const wanted = [...NAMES, ...others.map((directory) => [directory, 1] as const)];
  const listed = await mapLimited(wanted, CONCURRENCY, async ([directory, depth]) => {
    const names = await node.names(directory, depth);
    if (names === undefined) return [];
    const kind = KINDS[directory] ?? /(?:)/;
    return [[directory, names.filter((name) => kind.test(name))] as const];
  });
  return Object.fromEntries(listed.flat());
}

async function unitFiles(node: NodeRoot): Promise<string[]> {
  // On most nodes /lib is a link to /usr/lib, and each unit would be found twice.
  const directories = (await node.isLink('/lib')) ? UNIT_DIRECTORIES : [...UNIT_DIRECTORIES, LEGACY_UNITS];
  const dropIns = await mapLimited(
    directories.flatMap((directory) => UNITS.map((unit) => join(directory, `${unit}.d`))),
    CONCURRENCY,
    (directory) => within(node, directory, /\.conf$/),
  );
  return [
    ...directories.flatMap((directory) => UNITS.map((unit) => join(directory, unit))),
    ...dropIns.flat(),
  ];
}

async function within(node: NodeRoot, directory: string, endings: RegExp): Promise<string[]> {
  const names = (await node.names(directory)) ?? [];
  return names
    .filter((name) => endings.test(name))
    .slice(0, MAX_FILES)
    .map((name) => join(directory, name));
}
