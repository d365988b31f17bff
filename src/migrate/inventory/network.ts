import { parseObject, text } from '../../lib/json';
import { wantsCapability } from '../../network/cni/network-config';
import { CNI_BIN_DIRS, cniConfDir, findNetwork, neededPlugins, type Network } from '../cni-plugins';
import type { NodeFacts } from '../facts';
import { count, finding, listed, type Evidence, type Theme } from './finding-of';
import { placeOf, podContainers } from './pods';

/** Whether the new runtime finds a network for pods, and host ports with it. */
export const network: Theme = (facts) => {
  const { found, broken } = findNetwork(facts);
  if (found === undefined)
    return [
      finding(
        'block',
        'no-cni',
        broken.length === 0
          ? "The node has no CNI configuration: pods are on the Engine's bridge."
          : 'No CNI configuration of the node is valid.',
        "Install the cluster's network (such as Calico, Cilium or Flannel) first. containerd and CRI-O report NotReady without CNI.",
        broken.length === 0 ? [{ where: cniConfDir(facts), what: 'no configuration' }] : broken,
      ),
      ...hostPorts(facts, undefined),
    ];
  const versions = versionFindings(facts, found, broken);
  const plugins = pluginFindings(facts, found);
  const { name, cniVersion, plugins: chain } = found.config;
  const what = `CNI ${cniVersion}: ${chain.map(({ type }) => type).join(', ')}`;
  return [
    ...(versions.length + plugins.length > 0
      ? [...versions, ...plugins]
      : [
          finding('ok', 'no-cni', `The CNI network "${name}" is ready for the new runtime.`, '', [
            { where: found.path, what },
          ]),
        ]),
    ...onBridge(facts, found),
    ...hostPorts(facts, found),
  ];
};

/** Pods of dockbridge and cri-dockerd with a network of CNI have none of the Engine's. */
function onBridge(facts: NodeFacts, { path }: Network): ReturnType<Theme> {
  const pods = podContainers(facts).filter(({ isSandbox, container }) => {
    const { NetworkMode = '' } = container.HostConfig;
    return isSandbox && !['', 'none', 'host'].includes(NetworkMode);
  });
  if (pods.length === 0) return [];
  return [
    finding(
      'review',
      'no-cni',
      `${count(pods.length, 'pod')} ${pods.length === 1 ? 'uses' : 'use'} the Engine's bridge, although the node has a CNI configuration.`,
      'Let the present runtime use CNI first (--network-plugin=cni), so that the network of pods does not change together with the runtime.',
      [
        ...pods.map((pod) => ({
          where: placeOf(pod),
          what: `network ${pod.container.HostConfig.NetworkMode ?? ''}`,
        })),
        { where: path, what: 'the configuration' },
      ],
    ),
  ];
}

function versionFindings(
  { files, cniProblem }: NodeFacts,
  { path }: Network,
  broken: readonly Evidence[],
): ReturnType<Theme> {
  const named = parseObject(files[path]?.text ?? '');
  const isNamed = text(named?.cniVersion) !== '' || Array.isArray(named?.cniVersions);
  return [
    ...(isNamed
      ? []
      : [
          finding(
            'change',
            'cni-version',
            'The CNI configuration names no cniVersion, which containerd refuses.',
            'Add `"cniVersion": "1.0.0"`, or the newest version that all of its plugins know.',
            [{ where: path, what: 'no "cniVersion"' }],
          ),
        ]),
    ...(cniProblem === ''
      ? []
      : [
          finding(
            'change',
            'cni-version',
            'The CNI plugins cannot do what the configuration wants.',
            'Update the plugins, or use a version in the configuration that they know.',
            [{ where: path, what: cniProblem }],
          ),
        ]),
    ...(broken.length === 0
      ? []
      : [
          finding(
            'review',
            'cni-version',
            'The runtimes skip CNI configurations that are broken.',
            'Correct or remove these files.',
            broken,
          ),
        ]),
  ];
}

function pluginFindings({ directories }: NodeFacts, { path, config }: Network): ReturnType<Theme> {
  const there = CNI_BIN_DIRS.filter((directory) => directories[directory] !== undefined);
  const placesOf = (type: string): string[] =>
    there.filter((directory) => directories[directory]?.includes(type) === true);
  const needed = neededPlugins(config);
  const missing = needed.filter((type) => placesOf(type).length === 0);
  if (missing.length > 0)
    return [
      finding(
        'change',
        'cni-plugins',
        `The CNI ${missing.length === 1 ? 'plugin' : 'plugins'} ${listed(missing)} ${missing.length === 1 ? 'is' : 'are'} not installed.`,
        'Install the CNI plugins, version 1.0.0 or later (Debian: containernetworking-plugins; otherwise into /opt/cni/bin).',
        [
          { where: path, what: `needs ${needed.join(', ')}` },
          ...there.map((where) => ({ where, what: 'was searched' })),
        ],
      ),
    ];
  const elsewhere = needed.filter((type) => !placesOf(type).includes('/opt/cni/bin'));
  if (elsewhere.length === 0) return [];
  const places = [...new Set(elsewhere.flatMap(placesOf))];
  return [
    finding(
      'change',
      'cni-plugins',
      `Some CNI plugins are in ${listed(places)}, where the new runtime does not look unless it is told.`,
      `Name /opt/cni/bin and ${listed(places)} in \`bin_dirs\` (containerd) or \`plugin_dirs\` (CRI-O). The plan does that.`,
      elsewhere.map((type) => ({
        where: `${placesOf(type)[0] ?? ''}/${type}`,
        what: 'a plugin of the network',
      })),
    ),
  ];
}

function hostPorts(facts: NodeFacts, found: Network | undefined): ReturnType<Theme> {
  const pods = podContainers(facts).flatMap((pod): Evidence[] => {
    const ports = Object.entries(pod.container.HostConfig.PortBindings ?? {}).flatMap(([port, places]) =>
      (places ?? []).filter(({ HostPort }) => HostPort !== '').map(({ HostPort }) => `${HostPort}→${port}`),
    );
    // A port without an address is published once for IPv4 and once for IPv6.
    return pod.isSandbox && ports.length > 0
      ? [{ where: placeOf(pod), what: [...new Set(ports)].join(', ') }]
      : [];
  });
  if (pods.length === 0) return [];
  const uses = `${count(pods.length, 'pod')} ${pods.length === 1 ? 'uses' : 'use'} host ports`;
  if (found !== undefined && wantsCapability(found.config, 'portMappings'))
    return [finding('ok', 'hostport', `${uses}, and the CNI configuration provides them.`, '', pods)];
  return [
    finding(
      'change',
      'hostport',
      `${uses}, and no CNI plugin here provides them.`,
      'Add the plugin `portmap` with `"capabilities": {"portMappings": true}` to the CNI configuration, unless the network provides host ports by itself, as Cilium does. CRI-O has its own.',
      pods,
    ),
  ];
}
