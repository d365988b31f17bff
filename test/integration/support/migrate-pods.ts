import { randomBytes } from 'node:crypto';
import { readFile, readlink } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { probedEffects, withoutNames, type Names } from '../../../src/harness/effects/assemble';
import type { ContainerEffects, EffectValue, SeenRuntime } from '../../../src/harness/effects/effect';
import { containerRequest, podRequest, READY } from '../../../src/harness/effects/effect-requests';
import type { ScenarioContainer, ScenarioPod } from '../../../src/harness/effects/effect-scenario';
import { logEffects } from '../../../src/harness/effects/log-effects';
import { namespaceEffects } from '../../../src/harness/effects/namespace-effects';
import { probe, type Sections } from '../../../src/harness/effects/probe';
import type { cri } from '../../../src/proto';
import { NamespaceMode, Protocol, SecurityProfileType } from '../../../src/proto/enums';
import type { CriClient } from '../../../src/server/client/cri-client';
import { CGROUP_PARENT, NODE_ADDRESS, REGISTRY, type MigrateNode } from './migrate-node';

export const LOCAL_IMAGE = 'local.test/app:1';
/** Has `USER 1000:1000`. */
export const LOCAL_USER_IMAGE = 'local.test/user:1';
export const REGISTRY_IMAGE = `${REGISTRY}/shop:1`;

const MIB = 1024 * 1024;
const HOST_PORT = 18080;
const LOG_DIRECTORY = '/var/log/pods';
const PATIENCE_MS = 60_000;
/** The last line of the container whose log is compared, on stderr. */
const LAST_ERROR = 'the last line of stderr';

interface Pod extends ScenarioPod {
  /** The image of all containers; LOCAL_IMAGE by default. */
  readonly image?: string;
}

const NODE_NETWORK = { network: NamespaceMode.NODE, pid: NamespaceMode.CONTAINER, ipc: NamespaceMode.POD };

/** Ten pods, each with something that a migration may lose. */
export const PODS: readonly Pod[] = [
  { name: 'plain', containers: [{ name: 'first' }, { name: 'second' }] },
  { name: 'image-user', image: LOCAL_USER_IMAGE, containers: [{ name: 'main' }] },
  {
    ...{ name: 'user', image: REGISTRY_IMAGE },
    containers: [
      {
        name: 'numbers',
        security: {
          ...{ run_as_user: { value: 1000 }, run_as_group: { value: 2000 } },
          ...{ supplemental_groups: [3000, 4000], no_new_privs: true },
        },
      },
    ],
  },
  {
    name: 'capabilities',
    containers: [
      { name: 'added', security: { capabilities: { add_capabilities: ['NET_ADMIN', 'SYS_TIME'] } } },
      { name: 'dropped', security: { capabilities: { drop_capabilities: ['ALL'] } } },
    ],
  },
  {
    name: 'resources',
    containers: [
      {
        name: 'limited',
        resources: {
          ...{ cpu_period: 100_000, cpu_quota: 50_000, cpu_shares: 256, oom_score_adj: 900 },
          ...{ memory_limit_in_bytes: 64 * MIB, memory_swap_limit_in_bytes: 64 * MIB },
        },
      },
    ],
  },
  {
    name: 'confined',
    containers: [
      {
        name: 'seccomp',
        security: { seccomp: { profile_type: SecurityProfileType.RuntimeDefault }, no_new_privs: true },
      },
      { name: 'read-only-root', security: { readonly_rootfs: true } },
    ],
  },
  {
    name: 'dns',
    config: {
      dns_config: {
        servers: ['192.0.2.53', '192.0.2.54'],
        searches: ['team.svc.cluster.local', 'svc.cluster.local'],
        options: ['ndots:5'],
      },
    },
    containers: [{ name: 'cluster' }],
  },
  {
    name: 'web',
    config: {
      port_mappings: [{ protocol: Protocol.TCP, container_port: 8080, host_port: HOST_PORT, host_ip: '' }],
    },
    containers: [{ name: 'server', script: 'httpd -p 8080 -h /www' }],
  },
  {
    name: 'node-network',
    config: { hostname: '' },
    security: { namespace_options: NODE_NETWORK },
    containers: [{ name: 'agent', security: { namespace_options: NODE_NETWORK } }],
  },
  {
    name: 'log',
    sysctls: { 'net.core.somaxconn': '1024' },
    containers: [
      {
        name: 'lines',
        script: [
          'echo to stdout; echo to stderr >&2; echo',
          "head -c 40000 /dev/zero | tr '\\0' x; echo",
          "printf 'f\\303\\266reign \\342\\202\\254\\n'",
          `echo ${LAST_ERROR} >&2`,
        ].join('; '),
      },
    ],
  },
];

interface Started {
  readonly pod: Pod;
  readonly container: ScenarioContainer;
  readonly podId: string;
  readonly id: string;
  readonly marker: string;
  readonly log: string;
  readonly addresses: readonly string[];
}

/** The pods on one runtime of the node. */
export class PodsOnNode {
  private readonly started: Started[] = [];

  private constructor(
    private readonly node: MigrateNode,
    private readonly client: CriClient,
    /** Part of the pods' uids, which differ each time, as in a cluster. */
    private readonly run: string,
  ) {}

  /** Creates and starts all pods. They stay when this process has not removed them, as the pods of a DaemonSet do. */
  static async start(node: MigrateNode, client: CriClient, pods = PODS): Promise<PodsOnNode> {
    const all = new PodsOnNode(node, client, randomBytes(4).toString('hex'));
    for (const pod of pods) await all.create(pod);
    for (const one of all.started)
      await all.untilLogged(one, READY, ...(one.pod.name === 'log' ? [LAST_ERROR] : []));
    return all;
  }

  /** Looks into all containers. @param source a name for reports. */
  async seen(source: string): Promise<SeenRuntime> {
    const { runtime_name: name, runtime_version: version } = await this.client.call('Version', {});
    const kinds = ['cgroup', 'ipc', 'mnt', 'net', 'time', 'user', 'uts'];
    const ofNode = kinds.map(async (kind) => [kind, await readlink(this.node.namespaceLink(kind))] as const);
    const nodeNamespaces = new Map(await Promise.all(ofNode));
    const containers: ContainerEffects[] = [];
    for (const podId of new Set(this.started.map((one) => one.podId))) {
      const ofPod = this.started.filter((one) => one.podId === podId);
      const sections: Sections[] = [];
      for (const one of ofPod) sections.push(await this.look(one));
      const namespaces = namespaceEffects(sections, nodeNamespaces);
      for (const [at, one] of ofPod.entries())
        containers.push({
          container: `${one.pod.name}/${one.container.name}`,
          effects: await this.effects(one, sections[at] ?? new Map(), namespaces[at] ?? new Map()),
        });
    }
    return { source, runtime: { name, version }, containers };
  }

  /** Asks for the page of the pod with a host port, from the node's network. */
  async page(): Promise<string> {
    const agent = this.started.find(({ pod }) => pod.name === 'node-network');
    const { stdout, stderr, exit_code } = await this.client.call('ExecSync', {
      ...{ container_id: agent?.id ?? '', timeout: 30 },
      cmd: ['timeout', '10', 'wget', '-q', '-O', '-', `http://${NODE_ADDRESS}:${HOST_PORT}/index.html`],
    });
    if (exit_code !== 0) throw new Error(`wget exits ${exit_code}: ${Buffer.from(stderr).toString()}`);
    return Buffer.from(stdout).toString();
  }

  /** Removes the pods through CRI. */
  async remove(): Promise<void> {
    for (const pod_sandbox_id of new Set(this.started.map((one) => one.podId))) {
      await this.client.call('StopPodSandbox', { pod_sandbox_id });
      await this.client.call('RemovePodSandbox', { pod_sandbox_id });
    }
  }

  private async create(pod: Pod): Promise<void> {
    const request = podRequest(pod, this.run, '/nowhere');
    const directory = `${LOG_DIRECTORY}/${this.run}-${pod.name}`;
    const config: cri.IPodSandboxConfig = {
      ...request,
      log_directory: directory,
      labels: kubeletLabels(request),
      linux: { ...request.linux, cgroup_parent: `/${CGROUP_PARENT}` },
    };
    await this.node.run('mkdir', '-p', directory);
    const { pod_sandbox_id: podId } = await this.client.call('RunPodSandbox', { config });
    const { status } = await this.client.call('PodSandboxStatus', { pod_sandbox_id: podId });
    const addresses = [status?.network?.ip ?? ''];
    const reference = pod.image ?? LOCAL_IMAGE;
    const { image } = await this.client.call('ImageStatus', { image: { image: reference } });
    if (image === null) throw new Error(`the runtime has no ${reference}`);
    for (const container of pod.containers) {
      const marker = `marker-${container.name}-${randomBytes(6).toString('hex')}`;
      const { container_id: id } = await this.client.call('CreateContainer', {
        ...{ pod_sandbox_id: podId, sandbox_config: config },
        config: {
          ...containerRequest(container, { reference, id: image.id }, marker),
          labels: { ...kubeletLabels(request), 'io.kubernetes.container.name': container.name },
        },
      });
      await this.client.call('StartContainer', { container_id: id });
      const log = `${directory}/${container.name}.log`;
      this.started.push({ pod, container, podId, id, marker, log, addresses });
    }
  }

  private async look({ id, marker }: Started): Promise<Sections> {
    const exec = async (command: readonly string[]) => {
      const { stdout, stderr, exit_code } = await this.client.call('ExecSync', {
        ...{ container_id: id, cmd: [...command], timeout: 60 },
      });
      const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
      return { stdout: text(stdout), stderr: text(stderr), exitCode: exit_code };
    };
    return probe({ exec }, marker);
  }

  private async effects(
    { id, podId, addresses, log }: Started,
    sections: Sections,
    namespaces: ReadonlyMap<string, string>,
  ): Promise<Map<string, EffectValue>> {
    const names: Names = [
      [id, '<container>'],
      [podId, '<pod>'],
      ...addresses.map((address): [string, string] => [address, '<address 1>']),
      [this.run, '<run>'],
      [id.slice(0, 12), '<container>'],
      [podId.slice(0, 12), '<pod>'],
    ];
    const effects = new Map([
      ...probedEffects(sections, '<none>'),
      ...namespaces,
      ...logEffects(await readFile(this.node.place(log), 'latin1')),
    ]);
    // The node's interfaces include those of all other pods.
    if (effects.get('namespace net') === 'node') effects.delete('interfaces');
    return withoutNames(effects, names);
  }

  /** Nothing announces a line of a log. */
  private async untilLogged({ log, container }: Started, ...words: readonly string[]): Promise<void> {
    const end = Date.now() + PATIENCE_MS;
    for (;;) {
      const text = await readFile(this.node.place(log), 'latin1').catch(() => '');
      if (words.every((word) => text.includes(`${word}\n`))) return;
      if (Date.now() > end)
        throw new Error(`${container.name} did not write "${words.join('", "')}":\n${text.slice(-500)}`);
      await delay(50);
    }
  }
}

/** The labels that a kubelet gives to each sandbox and container. `migrate images` knows the pods by them. */
function kubeletLabels({ metadata }: cri.IPodSandboxConfig): Record<string, string> {
  const { name = '', namespace = '', uid = '' } = metadata ?? {};
  return {
    'io.kubernetes.pod.name': name ?? '',
    'io.kubernetes.pod.namespace': namespace ?? '',
    'io.kubernetes.pod.uid': uid ?? '',
  };
}
