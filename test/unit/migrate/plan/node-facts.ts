import { createHash } from 'node:crypto';
import type { EngineInfo, EngineVersion } from '../../../../src/engine/types';
import type { NodeFacts } from '../../../../src/migrate/facts';

export interface FakeNode {
  readonly daemonJson?: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly directories?: Readonly<Record<string, readonly string[]>>;
  readonly facts?: Partial<NodeFacts>;
}

const CONFIG = '/var/lib/kubelet/config.yaml';

export const KUBELET_FILES: Readonly<Record<string, string>> = {
  [CONFIG]:
    '# written by kubeadm\napiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\ncgroupDriver: systemd # as dockerd\n',
  '/var/lib/kubelet/kubeadm-flags.env':
    'KUBELET_KUBEADM_ARGS="--container-runtime-endpoint=unix:///var/run/cri-dockerd.sock --pod-infra-container-image=registry.k8s.io/pause:3.9 --node-ip=10.0.0.1"\n',
};

/** A kubeadm node with Docker and cri-dockerd. */
export function nodeFacts({
  daemonJson,
  files = KUBELET_FILES,
  directories = {},
  facts = {},
}: FakeNode = {}): NodeFacts {
  const texts = {
    '/etc/os-release': 'ID=debian\n',
    ...files,
    ...(daemonJson === undefined ? {} : { '/etc/docker/daemon.json': daemonJson }),
  };
  return {
    v: 1,
    root: '/',
    host: {
      hostname: 'n1',
      arch: 'amd64',
      kernel: '6.1',
      os: 'Debian 12',
      cgroupVersion: 2,
      disks: [],
      sysctls: {},
    },
    files: Object.fromEntries(
      Object.entries(texts).map(([path, text]) => [
        path,
        { text, sha256: createHash('sha256').update(text).digest('hex'), isRedacted: false },
      ]),
    ),
    directories: { '/run/docker/containerd': ['containerd.sock'], ...directories },
    unreadable: [],
    credentials: {},
    executables: [],
    processes: { programs: [], socketClients: [] },
    engine: {
      endpoint: 'unix:///var/run/docker.sock',
      version: { Version: '28.5.2' } as EngineVersion,
      info: { CgroupDriver: 'systemd' } as EngineInfo,
      containers: [],
      isCut: false,
      images: [],
    },
    kubelet: {
      isRunning: true,
      from: 'process 1',
      arguments: [],
      configFile: CONFIG,
      endpoint: { value: 'unix:///var/run/cri-dockerd.sock', from: 'flag' },
      cgroupDriver: { value: 'systemd', from: CONFIG },
      problems: [],
    },
    ...facts,
  } as NodeFacts;
}
