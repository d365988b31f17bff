import type { EngineHostConfig, EngineMountPoint } from '../../../../src/engine/types';
import type { EngineSnapshot, NodeContainer, NodeFacts, NodeImage } from '../../../../src/migrate/facts';
import type { Finding } from '../../../../src/migrate/finding';

export const CONFLIST = JSON.stringify({
  cniVersion: '1.0.0',
  name: 'pods',
  plugins: [
    { type: 'bridge', ipam: { type: 'host-local' } },
    { type: 'portmap', capabilities: { portMappings: true } },
  ],
});

/** A kubeadm node with cri-dockerd on which nothing is unusual. */
export function plainNode(more: Partial<NodeFacts> = {}): NodeFacts {
  return {
    v: 1,
    root: '/',
    host: {
      ...{ hostname: 'node-1', arch: 'amd64', kernel: '6.1.0', os: 'Debian GNU/Linux 12', cgroupVersion: 2 },
      disks: ['/var/lib/docker', '/var/lib/containerd'].map((path) => ({
        ...{ path, existing: '/var/lib', device: 1, isMountPoint: false },
        ...{ sizeBytes: 100e9, freeBytes: 50e9 },
      })),
      sysctls: {},
    },
    files: files({ '/etc/cni/net.d/10-pods.conflist': CONFLIST }),
    directories: {
      '/opt/cni/bin': ['bridge', 'host-local', 'loopback', 'portmap'],
      '/run/docker/containerd': ['containerd.sock'],
    },
    ...{ unreadable: [], credentials: {}, cniProblem: '', executables: [] },
    lines: { docker: [], monitoring: [], logFormat: [] },
    engine: engine(),
    kubelet: {
      ...{ isRunning: true, from: 'process 812', arguments: [], configFile: '/var/lib/kubelet/config.yaml' },
      endpoint: { value: 'unix:///run/containerd/containerd.sock', from: '/var/lib/kubelet/config.yaml' },
      cgroupDriver: { value: 'systemd', from: '/var/lib/kubelet/config.yaml' },
      problems: [],
    },
    ...more,
  };
}

export function files(texts: Readonly<Record<string, string>>): NodeFacts['files'] {
  return Object.fromEntries(
    Object.entries(texts).map(([path, text]) => [path, { text, sha256: '', isRedacted: false }]),
  );
}

export function engine(more: Partial<EngineSnapshot> = {}): EngineSnapshot {
  return {
    endpoint: 'unix:///var/run/docker.sock',
    version: { Version: '28.5.2', ApiVersion: '1.51', Os: 'linux', Arch: 'amd64' },
    info: {
      ...{
        DockerRootDir: '/var/lib/docker',
        CgroupDriver: 'systemd',
        CgroupVersion: '2',
        Driver: 'overlay2',
      },
      ...{ DefaultRuntime: 'runc', OperatingSystem: 'Debian', KernelVersion: '6.1.0' },
    },
    ...{ containers: [], isCut: false, images: [], dockerdArguments: ['--iptables=false'] },
    ...more,
  };
}

/** A container of a pod, as cri-dockerd names it; `POD` is the sandbox. */
export function podContainer(
  pod: string,
  name: string,
  more: {
    readonly mounts?: readonly string[];
    readonly host?: EngineHostConfig;
    readonly image?: string;
    readonly labels?: Readonly<Record<string, string>>;
  } & Partial<NodeContainer> = {},
): NodeContainer {
  const { mounts = [], host = {}, image = 'sha256:app', labels = {}, ...rest } = more;
  const type = name === 'POD' ? 'podsandbox' : 'container';
  return {
    ...container(`k8s_${name}_${pod}_default_uid-${pod}_0`, image),
    Config: { Image: image, Labels: { 'io.kubernetes.docker.type': type, ...labels } },
    HostConfig: host,
    Mounts: mounts.map((Source): EngineMountPoint => ({
      Type: 'bind',
      Source,
      Destination: '/mnt',
      RW: true,
    })),
    ...rest,
  };
}

export function container(name: string, image = 'postgres:16'): NodeContainer {
  return {
    ...{ Id: `id-${name}`, Name: `/${name}`, Created: '2026-01-01T00:00:00Z', Image: image },
    State: {
      ...{ Status: 'running', Pid: 100, ExitCode: 0, OOMKilled: false, Error: '' },
      ...{ StartedAt: '2026-01-01T00:00:00Z', FinishedAt: '0001-01-01T00:00:00Z' },
    },
    Config: { Image: image, Labels: {} },
    HostConfig: {},
    NetworkSettings: {},
  };
}

export function image(Id: string, more: Partial<NodeImage> = {}): NodeImage {
  return { Id, RepoTags: [`${Id.slice(7)}:1`], RepoDigests: [`${Id.slice(7)}@sha256:1`], Size: 5e6, ...more };
}

/** The findings as `severity id`, in the order of the report. */
export function idsOf(findings: readonly Finding[]): string[] {
  return findings.map(({ severity, id }) => `${severity} ${id}`);
}
