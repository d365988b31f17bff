import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  parseNetworkList,
  parseSinglePlugin,
  type NetworkConfig,
} from '../../../src/network/cni/network-config';
import type { Attachment } from '../../../src/network/cni/result-cache';
import { PluginChain } from '../../../src/network/cni/plugin-chain';
import type { CniResult } from '../../../src/network/cni/result';
import type { cri } from '../../../src/proto';
import { readNodeRights } from '../../../src/node/node-rights';
import type { EngineContainerInspect } from '../../../src/engine/types';
import type { CniNode } from './cni-node';
import { engineCall, engineGet, sharedDockerHost } from './engine';
import {
  containerBody,
  containerName,
  sandboxBody,
  sandboxName,
  type IncumbentKind,
} from './incumbent/bodies';
import { sandboxCheckpoint, type CheckpointPort } from './incumbent/checkpoint';

export type { IncumbentKind } from './incumbent/bodies';

const PAUSE_TAR = join(__dirname, '../../../dist/pause/pause.tar');
export const PAUSE_IMAGE = 'dockbridge.local/pause:1';

/** Both runtimes and libcni's cache use this name. The cache entry has the call's interface, not `lo`. */
const LOOPBACK = '{"cniVersion":"0.2.0","name":"cni-loopback","plugins":[{"type":"loopback"}]}';
const KUBENET_LOOPBACK = '{"cniVersion":"0.1.0","name":"kubenet-loopback","type":"loopback"}';

export interface IncumbentOptions {
  readonly kind: IncumbentKind;
  /** The runtime's root directory, with the checkpoints in `sandbox/`. */
  readonly root: string;
  /** Default: the Engine that all tests share. */
  readonly dockerHost?: string;
  /** With a node, pods get its CNI network. */
  readonly node?: CniNode;
  /** Default: `cni` with a node, else the Engine's bridge. */
  readonly network?: 'cni' | 'kubenet' | 'no-op';
}

/**
 * A runtime that served the node before dockbridge. It makes pods through the Engine's API, CNI and files
 * exactly as cri-dockerd and dockershim do, according to their documented formats. It keeps only the
 * configurations of its pods.
 */
export class Incumbent {
  private readonly pods = new Map<string, cri.IPodSandboxConfig>();
  private readonly dockerHost: string;
  private readonly network: 'cni' | 'kubenet' | 'no-op';

  private constructor(private readonly options: IncumbentOptions) {
    this.dockerHost = options.dockerHost ?? sharedDockerHost();
    this.network = options.network ?? (options.node === undefined ? 'no-op' : 'cni');
  }

  static async start(options: IncumbentOptions): Promise<Incumbent> {
    const incumbent = new Incumbent(options);
    const [repo, tag] = PAUSE_IMAGE.split(':');
    const query = `fromSrc=-&repo=${repo ?? ''}&tag=${tag ?? ''}&changes=ENTRYPOINT+%5B%22%2Fpause%22%5D`;
    const path = `/images/create?${query}`;
    await engineCall(incumbent.dockerHost, 'POST', path, { tar: await readFile(PAUSE_TAR) });
    return incumbent;
  }

  /** Does what RunPodSandbox does. */
  async runPod(config: cri.IPodSandboxConfig): Promise<string> {
    const id = await this.createPod(config);
    await this.call('POST', `/containers/${id}/start`);
    const { ResolvConfPath: resolvConf = '' } = await this.inspect(id);
    if (config.dns_config != null) await writeFile(resolvConf, resolvConfText(config.dns_config));
    await this.connect(id, config);
    return id;
  }

  /** Does what a RunPodSandbox does that is killed before the start, which leaves the sandbox in `created`. */
  async createPod(config: cri.IPodSandboxConfig, name = sandboxName(config)): Promise<string> {
    const networkMode = this.network === 'no-op' ? 'default' : 'none';
    const { oomFloor } = await readNodeRights();
    const body = sandboxBody(config, { image: PAUSE_IMAGE, networkMode, oomFloor });
    const id = await this.create(name, body);
    this.pods.set(id, config);
    const packageName = this.options.kind === 'dockershim' ? 'dockershim' : 'core';
    await mkdir(dirname(this.checkpointOf(id)), { recursive: true });
    await writeFile(this.checkpointOf(id), sandboxCheckpoint(config, packageName).text, { mode: 0o600 });
    return id;
  }

  /** Does what CreateContainer does. @param more additions to the body's HostConfig. */
  async createContainer(
    pod: string,
    config: cri.IContainerConfig,
    more: object = {},
    name?: string,
  ): Promise<string> {
    const podConfig = this.pods.get(pod);
    if (podConfig === undefined) throw new Error(`pod ${pod} was not made by this incumbent`);
    const body = containerBody(this.options.kind, await this.inspect(pod), podConfig, config) as {
      HostConfig: object;
    };
    const whole = { ...body, HostConfig: { ...body.HostConfig, ...more } };
    return this.create(name ?? containerName(podConfig, config), whole);
  }

  /** Does what StartContainer does. The log is a link to the Engine's log file, even if the start fails. */
  async startContainer(id: string): Promise<void> {
    try {
      await this.call('POST', `/containers/${id}/start`);
    } finally {
      const { Config, LogPath = '' } = await this.inspect(id);
      const link = Config.Labels?.['io.kubernetes.container.logpath'] ?? '';
      if (LogPath !== '') {
        await mkdir(dirname(link), { recursive: true });
        await rm(link, { force: true });
        await symlink(LogPath, link);
      }
    }
  }

  async runContainer(pod: string, config: cri.IContainerConfig, more: object = {}): Promise<string> {
    const id = await this.createContainer(pod, config, more);
    await this.startContainer(id);
    return id;
  }

  /** Does what StopPodSandbox does: runs DEL with the current network configuration and the checkpoint's ports. */
  async stopPod(id: string): Promise<void> {
    const { node } = this.options;
    const { State: state, HostConfig: host, Name } = await this.inspect(id);
    if (node !== undefined && host.NetworkMode !== 'host' && this.network !== 'no-op') {
      const [, , name = '', namespace = ''] = Name.split('_');
      const netns = state.Pid === 0 ? '' : `/proc/${state.Pid}/ns/net`;
      for (const network of (await this.networks(node)).reverse()) {
        const attachment = { ...network.attachment(id, netns), ...this.podArguments(id, name, namespace) };
        const capabilityArgs = { portMappings: await this.checkpointPorts(id) };
        const file = cacheFile(node, attachment);
        const cached = JSON.parse(await readFile(file, 'utf8').catch(() => '{}')) as { result?: CniResult };
        await this.chain(node).del(network.config, { ...attachment, capabilityArgs }, cached.result);
        await rm(file, { force: true });
      }
    }
    await this.call('POST', `/containers/${id}/stop?t=10`);
  }

  /** Does what RemovePodSandbox does. */
  async removePod(id: string): Promise<void> {
    const filters = encodeURIComponent(JSON.stringify({ label: [`io.kubernetes.sandbox.id=${id}`] }));
    const containers = (await engineGet(this.dockerHost, `/containers/json?all=1&filters=${filters}`)) as {
      Id: string;
    }[];
    for (const { Id } of [...containers, { Id: id }]) {
      await this.call('DELETE', `/containers/${Id}?force=1&v=1`);
    }
    await rm(this.checkpointOf(id), { force: true });
  }

  checkpointOf(id: string): string {
    return join(this.options.root, 'sandbox', id);
  }

  async inspect(id: string): Promise<EngineContainerInspect> {
    return (await engineGet(this.dockerHost, `/containers/${id}/json`)) as EngineContainerInspect;
  }

  private async connect(id: string, config: cri.IPodSandboxConfig): Promise<void> {
    const { node } = this.options;
    const { State: state, HostConfig: host } = await this.inspect(id);
    if (node === undefined || host.NetworkMode === 'host' || this.network === 'no-op') return;
    const { name = '', namespace = '' } = config.metadata ?? {};
    for (const network of await this.networks(node)) {
      const attachment: Attachment = {
        ...network.attachment(id, `/proc/${state.Pid}/ns/net`),
        ...this.podArguments(id, name ?? '', namespace ?? ''),
        capabilityArgs:
          this.network === 'kubenet'
            ? {}
            : { portMappings: await this.checkpointPorts(id), ipRanges: [[{ subnet: '' }]] },
      };
      const result = await this.chain(node).add(network.config, attachment);
      await mkdir(join(node.cacheDir, 'results'), { recursive: true });
      await writeFile(cacheFile(node, attachment), cacheEntry(network.text, attachment, result));
    }
  }

  /** Returns the networks of a pod, loopback first. libcni caches the text of a configuration unchanged. */
  private async networks(node: CniNode): Promise<Network[]> {
    if (this.network === 'kubenet') {
      const text = JSON.stringify(kubenet(node));
      return [
        new Network(KUBENET_LOOPBACK, parseSinglePlugin(KUBENET_LOOPBACK), 'lo'),
        new Network(text, parseSinglePlugin(text), 'eth0'),
      ];
    }
    const text = await readFile(join(node.confDir, '10-test.conflist'), 'utf8');
    return [
      new Network(LOOPBACK, parseNetworkList(LOOPBACK), 'eth0'),
      new Network(text, parseNetworkList(text), 'eth0'),
    ];
  }

  private podArguments(id: string, name: string, namespace: string): Pick<Attachment, 'cniArgs'> {
    if (this.network === 'kubenet') return { cniArgs: [] };
    return {
      cniArgs: [
        ['IgnoreUnknown', '1'],
        ['K8S_POD_NAMESPACE', namespace],
        ['K8S_POD_NAME', name],
        ['K8S_POD_INFRA_CONTAINER_ID', id],
      ],
    };
  }

  private async checkpointPorts(id: string): Promise<object[]> {
    const text = await readFile(this.checkpointOf(id), 'utf8').catch(() => '{}');
    const { data } = JSON.parse(text) as { data?: { port_mappings?: CheckpointPort[] } };
    return (data?.port_mappings ?? [])
      .filter(({ host_port: port }) => port > 0)
      .map(({ host_port, container_port, protocol, host_ip }) => ({
        hostPort: host_port,
        containerPort: container_port,
        protocol,
        hostIP: host_ip,
      }));
  }

  private chain(node: CniNode): PluginChain {
    return new PluginChain([node.binDir], 60_000);
  }

  private async create(name: string, body: object): Promise<string> {
    const path = `/containers/create?name=${encodeURIComponent(name)}`;
    return ((await this.call('POST', path, body)) as { Id: string }).Id;
  }

  private call(method: 'POST' | 'DELETE', path: string, json?: unknown): Promise<unknown> {
    return engineCall(this.dockerHost, method, path, json === undefined ? {} : { json });
  }
}

class Network {
  constructor(
    readonly text: string,
    readonly config: NetworkConfig,
    private readonly ifName: string,
  ) {}

  attachment(containerId: string, netns: string): Attachment {
    const { ifName, config } = this;
    return { containerId, networkName: config.name, ifName, netns, cniArgs: [], capabilityArgs: {} };
  }
}

function cacheFile(node: CniNode, { networkName, containerId, ifName }: Attachment): string {
  return join(node.cacheDir, 'results', `${networkName}-${containerId}-${ifName}`);
}

/** Returns a cache entry as libcni up to 1.1 writes it, without `netns`. */
function cacheEntry(config: string, attachment: Attachment, result: CniResult): string {
  const { containerId, ifName, networkName, cniArgs, capabilityArgs } = attachment;
  return JSON.stringify({
    kind: 'cniCacheV1',
    containerId,
    config: Buffer.from(config).toString('base64'),
    ifName,
    networkName,
    ...(cniArgs.length === 0 ? {} : { cniArgs }),
    ...(Object.keys(capabilityArgs).length === 0 ? {} : { capabilityArgs }),
    result,
  });
}

function kubenet(node: CniNode): object {
  return {
    ...{ cniVersion: '0.1.0', name: 'kubenet', type: 'bridge', bridge: 'cbr0', mtu: 1460, addIf: 'eth0' },
    ...{ isGateway: true, ipMasq: false, hairpinMode: false },
    ipam: {
      type: 'host-local',
      dataDir: node.leaseDir,
      ranges: [[{ subnet: '10.95.0.0/24' }]],
      routes: [{ dst: '0.0.0.0/0' }],
    },
  };
}

function resolvConfText({ servers = [], searches = [], options = [] }: cri.IDNSConfig): string {
  return [
    ...(servers ?? []).map((server) => `nameserver ${server}\n`),
    ...(searches?.length ? [`search ${searches.join(' ')}\n`] : []),
    ...(options?.length ? [`options ${options.join(' ')}\n`] : []),
  ].join('');
}
