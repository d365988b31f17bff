import type { cri } from '../../../../src/proto';
import { MountPropagation, NamespaceMode, Protocol } from '../../../../src/proto/enums';
import type { EngineContainerInspect, EngineMount } from '../../../../src/engine/types';

/** cri-dockerd up to 0.4.3 and dockershim give mounts as `Binds`, cri-dockerd's master branch as `Mounts`. */
export type IncumbentKind = 'dockershim' | 'cri-dockerd-0.4' | 'cri-dockerd-master';

const SHM_BYTES = 64 * 1024 * 1024;
const PROTOCOLS = { [Protocol.TCP]: 'tcp', [Protocol.UDP]: 'udp', [Protocol.SCTP]: 'sctp' } as const;

export function sandboxName({ metadata }: cri.IPodSandboxConfig): string {
  return ['k8s', 'POD', metadata?.name, metadata?.namespace, metadata?.uid, metadata?.attempt ?? 0].join('_');
}

export function containerName(pod: cri.IPodSandboxConfig, container: cri.IContainerConfig): string {
  const { name, namespace, uid } = pod.metadata ?? {};
  return ['k8s', container.metadata?.name, name, namespace, uid, container.metadata?.attempt ?? 0].join('_');
}

export interface SandboxSurroundings {
  readonly image: string;
  /** The network of pods that are not on the host's network. */
  readonly networkMode: string;
  /** The lowest score that this machine allows. Below it, the real runtime would fail. */
  readonly oomFloor: number;
}

/** Returns the body of the create call of a sandbox. */
export function sandboxBody(
  config: cri.IPodSandboxConfig,
  { image, networkMode, oomFloor }: SandboxSurroundings,
): object {
  const context = config.linux?.security_context;
  const options = context?.namespace_options;
  const ports = (config.port_mappings ?? []).filter(({ host_port: port }) => port);
  const bindings: Record<string, { HostPort: string; HostIp: string }[]> = {};
  for (const { protocol, container_port, host_port, host_ip } of ports) {
    const key = `${container_port ?? 0}/${PROTOCOLS[protocol ?? 0]}`;
    (bindings[key] ??= []).push({ HostPort: String(host_port), HostIp: host_ip ?? '' });
  }
  return {
    Hostname: config.hostname ?? '',
    Image: image,
    Labels: {
      ...labelsOf(config),
      'io.kubernetes.docker.type': 'podsandbox',
      'io.kubernetes.container.name': 'POD',
    },
    ExposedPorts: Object.fromEntries(Object.keys(bindings).map((key) => [key, {}])),
    HostConfig: {
      IpcMode: options?.ipc === NamespaceMode.NODE ? 'host' : 'shareable',
      PidMode: options?.pid === NamespaceMode.NODE ? 'host' : '',
      NetworkMode: options?.network === NamespaceMode.NODE ? 'host' : networkMode,
      PortBindings: bindings,
      Privileged: context?.privileged ?? false,
      Sysctls: config.linux?.sysctls ?? {},
      CgroupParent: config.linux?.cgroup_parent ?? '',
      SecurityOpt: ['no-new-privileges'],
      OomScoreAdj: Math.max(-998, oomFloor),
      CpuShares: 2,
      MemorySwap: 0,
      ShmSize: SHM_BYTES,
    },
  };
}

/** Returns the body of the create call of a container. */
export function containerBody(
  kind: IncumbentKind,
  sandbox: EngineContainerInspect,
  pod: cri.IPodSandboxConfig,
  config: cri.IContainerConfig,
): object {
  const inPod = `container:${sandbox.Id}`;
  const options = config.linux?.security_context?.namespace_options;
  const resources = config.linux?.resources;
  const memory = Number(resources?.memory_limit_in_bytes ?? 0);
  const mounts = config.mounts ?? [];
  return {
    Entrypoint: config.command ?? null,
    Cmd: config.args ?? null,
    Env: (config.envs ?? []).map(({ key, value }) => `${key ?? ''}=${Buffer.from(value ?? []).toString()}`),
    Image: config.image?.image,
    WorkingDir: config.working_dir ?? '',
    Labels: {
      ...labelsOf(config),
      'io.kubernetes.docker.type': 'container',
      'io.kubernetes.container.logpath': `${pod.log_directory ?? ''}/${config.log_path ?? ''}`,
      'io.kubernetes.sandbox.id': sandbox.Id,
    },
    OpenStdin: config.stdin ?? false,
    StdinOnce: config.stdin_once ?? false,
    Tty: config.tty ?? false,
    Healthcheck: { Test: ['NONE'] },
    HostConfig: {
      ...(kind === 'cri-dockerd-master' ? { Mounts: mounts.map(toMount) } : { Binds: mounts.map(toBind) }),
      RestartPolicy: { Name: 'no' },
      Runtime: sandbox.HostConfig.Runtime,
      Memory: memory,
      MemorySwap: memory,
      CpuShares: Number(resources?.cpu_shares ?? 0),
      CpuQuota: Number(resources?.cpu_quota ?? 0),
      CpuPeriod: Number(resources?.cpu_period ?? 0),
      OomScoreAdj: Number(resources?.oom_score_adj ?? 0),
      CgroupParent: pod.linux?.cgroup_parent ?? '',
      Privileged: config.linux?.security_context?.privileged ?? false,
      SecurityOpt: ['seccomp=unconfined'],
      NetworkMode: inPod,
      IpcMode: options?.ipc === NamespaceMode.NODE ? 'host' : inPod,
      PidMode: pidMode(options, inPod),
      UTSMode: sandbox.HostConfig.NetworkMode === 'host' ? 'host' : '',
      ShmSize: SHM_BYTES,
    },
  };
}

function pidMode(options: cri.INamespaceOption | null | undefined, inPod: string): string {
  if (options?.pid === NamespaceMode.NODE) return 'host';
  if (options?.pid === NamespaceMode.TARGET) return `container:${options.target_id ?? ''}`;
  return options?.pid === NamespaceMode.CONTAINER ? '' : inPod;
}

function labelsOf(config: cri.IPodSandboxConfig | cri.IContainerConfig): Record<string, string> {
  const annotations = Object.entries(config.annotations ?? {});
  return {
    ...config.labels,
    ...Object.fromEntries(annotations.map(([key, value]) => [`annotation.${key}`, value])),
  };
}

function toBind(mount: cri.IMount): string {
  const propagation = propagationOf(mount);
  const attributes = [
    ...(mount.readonly === true ? ['ro'] : []),
    ...(mount.selinux_relabel === true ? ['Z'] : []),
    ...(propagation === undefined ? [] : [propagation]),
  ];
  const path = `${mount.host_path ?? ''}:${mount.container_path ?? ''}`;
  return attributes.length === 0 ? path : `${path}:${attributes.join(',')}`;
}

function toMount(mount: cri.IMount): EngineMount & { BindOptions: { CreateMountpoint: boolean } } {
  const propagation = propagationOf(mount);
  return {
    Type: 'bind',
    Source: mount.host_path ?? '',
    Target: mount.container_path ?? '',
    ReadOnly: mount.readonly ?? false,
    BindOptions: {
      CreateMountpoint: true,
      ...(mount.readonly === true ? { ReadOnlyNonRecursive: mount.recursive_read_only !== true } : {}),
      ...(propagation === undefined ? {} : { Propagation: propagation }),
    },
  };
}

function propagationOf({ propagation }: cri.IMount): 'rshared' | 'rslave' | undefined {
  if (propagation === MountPropagation.PROPAGATION_BIDIRECTIONAL) return 'rshared';
  return propagation === MountPropagation.PROPAGATION_HOST_TO_CONTAINER ? 'rslave' : undefined;
}
