import type { NodeFacts } from '../../../../src/migrate/facts';
import { takeInventory } from '../../../../src/migrate/inventory/inventory';
import { jsonProblem } from '../../../../src/migrate/inventory/node-files';
import {
  CONFLIST,
  container,
  engine,
  files,
  idsOf,
  image,
  plainNode,
  podContainer,
} from '../support/node-facts';

const CNI = { '/etc/cni/net.d/10-pods.conflist': CONFLIST };
const ordinary = new Set(idsOf(takeInventory(plainNode())));

/** The findings that an ordinary node does not have. */
function unusual(more: Partial<NodeFacts>): string[] {
  return idsOf(takeInventory(plainNode(more))).filter((id) => !ordinary.has(id));
}

/** Where the findings with this id were seen. */
function places(id: string, more: Partial<NodeFacts>): string[] {
  return takeInventory(plainNode(more))
    .filter((one) => one.id === id)
    .flatMap(({ evidence }) => evidence.map(({ where }) => where));
}

const withContainers = (...containers: ReturnType<typeof container>[]): Partial<NodeFacts> => ({
  engine: engine({ containers }),
});

describe('the inventory of the kind of the node', () => {
  it('forbids the move of a node whose kubelet is a container', () => {
    expect(unusual(withContainers(container('kubelet'), container('kube-proxy')))).toEqual([
      'block kubelet-in-docker',
    ]);
  });

  it.each([
    ['minikube', { directories: { ...plainNode().directories, '/var/lib/minikube': [] } }],
    ['kind', { directories: { ...plainNode().directories, '/kind': [] } }],
    ['Kubespray', { directories: { ...plainNode().directories, '/etc/kubernetes': ['kubelet.env'] } }],
    [
      'K3s with Docker',
      {
        files: files({
          ...CNI,
          '/etc/systemd/system/k3s.service': 'ExecStart=/usr/local/bin/k3s server --docker',
        }),
      },
    ],
  ])('forbids the move of a node of %s in place', (_name, more) => {
    expect(unusual(more)).toEqual(['block managed-node']);
  });

  it('asks for a look at K3s without Docker', () => {
    const more = {
      files: files({ ...CNI, '/etc/systemd/system/k3s.service': 'ExecStart=/usr/local/bin/k3s server' }),
    };
    expect(unusual(more)).toEqual(['review managed-node']);
  });

  it('asks for a look at static pods, and names etcd', () => {
    const directories = {
      ...plainNode().directories,
      '/etc/kubernetes/manifests': ['etcd.yaml', '.kubelet-keep'],
    };
    expect(unusual({ directories })).toEqual(['review static-pods']);
    expect(places('static-pods', { directories })).toEqual(['/etc/kubernetes/manifests/etcd.yaml']);
  });
});

describe('the inventory of the network', () => {
  it('forbids the move without CNI', () => {
    expect(unusual({ files: {} })).toEqual(['block no-cni']);
  });

  it('forbids the move when all configurations are broken, and says where', () => {
    const broken = { files: files({ '/etc/cni/net.d/10-a.conflist': '{' }) };
    expect(unusual(broken)).toEqual(['block no-cni']);
    expect(places('no-cni', broken)).toEqual(['/etc/cni/net.d/10-a.conflist']);
  });

  it('requires a change of a network without a version, because containerd needs one', () => {
    const unnamed = CONFLIST.replace('"cniVersion":"1.0.0",', '');
    expect(unusual({ files: files({ '/etc/cni/net.d/10-pods.conflist': unnamed }) })).toEqual([
      'change cni-version',
    ]);
  });

  it('reports plugins that do not know the version', () => {
    expect(unusual({ cniProblem: 'CNI plugin "bridge" does not support version 1.1.0' })).toEqual([
      'change cni-version',
    ]);
  });

  it('reports plugins that are missing, loopback among them', () => {
    const { directories } = plainNode();
    const more = { directories: { ...directories, '/opt/cni/bin': ['bridge', 'host-local', 'portmap'] } };
    expect(unusual(more)).toEqual(['change cni-plugins']);
  });

  it("reports plugins that are only in Debian's directory", () => {
    const { '/opt/cni/bin': plugins = [], ...directories } = plainNode().directories;
    const more = { directories: { ...directories, '/usr/lib/cni': plugins } };
    expect(unusual(more)).toEqual(['change cni-plugins']);
    expect(places('cni-plugins', more)).toContain('/usr/lib/cni/bridge');
  });

  const pod = podContainer('web', 'POD', {
    host: { PortBindings: { '80/tcp': [{ HostIp: '', HostPort: '8080' }] } },
  });

  it('finds host ports in order when the network provides them', () => {
    expect(unusual(withContainers(pod))).toContain('ok hostport');
  });

  it("asks for a look at pods on the Engine's bridge", () => {
    const pods = ['bridge', 'none', 'host'].map((NetworkMode) =>
      podContainer(NetworkMode, 'POD', { host: { NetworkMode } }),
    );
    expect(unusual(withContainers(...pods))).toEqual(['review no-cni']);
    expect(places('no-cni', withContainers(...pods))).toContain('pod default/bridge');
    expect(places('no-cni', withContainers(...pods))).not.toContain('pod default/none');
  });

  it('wants portmap for pods with host ports', () => {
    const without = JSON.stringify({ cniVersion: '1.0.0', name: 'pods', plugins: [{ type: 'bridge' }] });
    const more = { ...withContainers(pod), files: files({ '/etc/cni/net.d/10-pods.conflist': without }) };
    expect(unusual(more)).toContain('change hostport');
    expect(places('hostport', more)).toEqual(['pod default/web']);
  });
});

describe('the inventory of what pods see of the Engine', () => {
  it.each([
    ['/var/run/docker.sock', 'change docker-sock-pod'],
    ['/run/docker.sock', 'change docker-sock-pod'],
    ['/var/run/', 'review docker-sock-pod'],
    ['/run', 'review docker-sock-pod'],
    ['/', 'review docker-sock-pod'],
    ['/var/lib/docker/containers', 'change docker-dir-pod'],
    ['/var/lib/docker', 'change docker-dir-pod'],
    ['/var/lib', 'review docker-dir-pod'],
  ])('reports a mount of %s', (source, expected) => {
    expect(unusual(withContainers(podContainer('agent', 'main', { mounts: [source] })))).toEqual([expected]);
  });

  it('reports no mounts of neighbouring paths', () => {
    const mounts = ['/var/log', '/run/xtables.lock', '/var/lib/dockershim', '/var/lib/docker-data'];
    expect(unusual(withContainers(podContainer('agent', 'main', { mounts })))).toEqual([]);
  });

  it('names the container and what a known agent needs', () => {
    const agent = podContainer('dd', 'agent', { mounts: ['/run/docker.sock'], image: 'datadog/agent:7' });
    const [found] = takeInventory(plainNode(withContainers(agent))).filter(
      ({ id }) => id === 'docker-sock-pod',
    );
    expect(found?.evidence).toEqual([
      { where: 'container agent of pod default/dd', what: expect.stringContaining('datadog') as string },
    ]);
  });

  it.each(['docker:27-dind', 'docker:27', 'moby/buildkit:v0.15'])('reports a pod that runs %s', (name) => {
    expect(unusual(withContainers(podContainer('ci', 'build', { image: name })))).toContain(
      'change dind-build',
    );
  });

  it('reports an emptyDir, which a drain deletes', () => {
    const mounts = ['/var/lib/kubelet/pods/1/volumes/kubernetes.io~empty-dir/cache'];
    expect(unusual(withContainers(podContainer('web', 'main', { mounts })))).toEqual([
      'review local-storage',
    ]);
  });

  it("reports log shippers that expect Docker's format", () => {
    const logFormat = [{ path: '/etc/fluent-bit/fluent-bit.conf', line: 4, text: 'Parser docker' }];
    expect(places('log-format', { lines: { ...plainNode().lines, logFormat } })).toEqual([
      '/etc/fluent-bit/fluent-bit.conf:4',
    ]);
  });
});

describe('the inventory of what uses Docker outside of pods', () => {
  it('forbids the move while other containers and a swarm are there', () => {
    const { info } = engine();
    const swarm = engine({
      info: { ...info, Swarm: { LocalNodeState: 'active' } },
      containers: [container('db')],
    });
    expect(unusual({ engine: swarm })).toEqual(['block foreign', 'block swarm']);
    expect(places('foreign', { engine: swarm })).toEqual(['container db']);
  });

  it('asks for a look at scripts, monitoring and connected processes', () => {
    const line = { path: '/etc/cron.daily/prune', line: 3, text: 'docker system prune -f' };
    const more = {
      lines: { docker: [line], monitoring: [line], logFormat: [] },
      processes: { programs: [], socketClients: [{ pid: 77, name: 'telegraf' }] },
    };
    expect(unusual(more)).toEqual(['review host-scripts', 'review sock-clients', 'review monitoring']);
    expect(places('sock-clients', more)).toEqual(['process 77']);
  });
});

describe('the inventory of registries', () => {
  it('reports certificates, credential helpers, files of the bridge, and a proxy', () => {
    const { info } = engine();
    const more: Partial<NodeFacts> = {
      directories: {
        ...plainNode().directories,
        '/etc/docker/certs.d': ['r.example:5000/ca.crt', 'r.example:5000/client.key'],
      },
      credentials: {
        '/root/.docker/config.json': { registries: [], helpers: { 'gcr.io': 'gcloud' }, problem: '' },
        '/etc/bridge/auth.json': { registries: ['r.example'], helpers: {}, problem: '' },
        '/var/lib/kubelet/config.json': { registries: ['r.example'], helpers: {}, problem: '' },
        '/.docker/config.json': { registries: [], helpers: {}, problem: 'is not a JSON object' },
      },
      engine: engine({ info: { ...info, HttpProxy: 'http://proxy:3128' } }),
    };
    expect(unusual(more)).toEqual([
      'change registry-certs',
      'change auth',
      'change auth',
      'change proxy',
      'review auth',
      'ok auth',
    ]);
  });

  it("finds a proxy in the drop-ins of Docker's unit", () => {
    const path = '/etc/systemd/system/docker.service.d/proxy.conf';
    const more = {
      files: files({ ...CNI, [path]: '[Service]\nEnvironment="HTTPS_PROXY=http://proxy:3128"' }),
    };
    expect(places('proxy', more)).toEqual([`${path}:2`]);
  });
});

describe('the inventory of images', () => {
  const local = image('sha256:app', { RepoDigests: [] });

  it('requires a change for images that only the Engine has', () => {
    const more = { engine: engine({ images: [local], containers: [podContainer('web', 'main')] }) };
    expect(unusual(more)).toEqual(['change local-image']);
    expect(places('local-image', more)).toEqual(['image app:1']);
  });

  it('asks for a look at local images without containers', () => {
    expect(unusual({ engine: engine({ images: [local] }) })).toEqual(['review local-image']);
  });

  it('does not count the image of sandboxes', () => {
    const images = [image('sha256:pause', { RepoTags: ['registry.k8s.io/pause:3.10'], RepoDigests: [] })];
    const sandbox = podContainer('web', 'POD', { image: 'sha256:pause' });
    expect(unusual({ engine: engine({ images, containers: [sandbox] }) })).toEqual([]);
  });

  it('wants another pause image when dockbridge made the present one', () => {
    const images = [image('sha256:pause', { RepoTags: ['dockbridge.local/pause:1'], RepoDigests: [] })];
    const sandbox = podContainer('web', 'POD', { image: 'sha256:pause' });
    expect(unusual({ engine: engine({ images, containers: [sandbox] }) })).toEqual(['change pause-image']);
  });

  it('wants the pause image that cri-dockerd was given', () => {
    const args = ['--pod-infra-container-image=r.example/pause:3.9'];
    const programs = [{ name: 'cri-dockerd' as const, pid: 5, args }];
    expect(unusual({ processes: { programs, socketClients: [] } })).toEqual(['change pause-image']);
  });

  it('wants the pause image that dockbridge has from a file or its environment', () => {
    const bridgeOptions = {
      'pod-infra-container-image': {
        value: 'r.example/pause:3.9',
        from: '/etc/dockbridge/config.d/a.yaml:2',
      },
    };
    expect(unusual({ bridgeOptions })).toEqual(['change pause-image']);
    expect(places('pause-image', { bridgeOptions })).toEqual(['/etc/dockbridge/config.d/a.yaml:2']);
  });

  it('finds the network in the directory that dockbridge has from a file', () => {
    const bridgeOptions = { 'cni-conf-dir': { value: '/etc/test/net.d', from: 'DOCKBRIDGE_CNI_CONF_DIR' } };
    expect(unusual({ bridgeOptions })).toEqual(['block no-cni']);
    expect(
      unusual({ bridgeOptions, files: files({ '/etc/test/net.d/10-pods.conflist': CONFLIST }) }),
    ).toEqual([]);
  });

  it("asks for a look if the Engine's containerd store hides which images are local", () => {
    const { info } = engine();
    const store = {
      ...info,
      DriverStatus: [['driver-type', 'io.containerd.snapshotter.v1']] as [string, string][],
    };
    const more = {
      engine: engine({
        info: store,
        images: [image('sha256:app')],
        containers: [podContainer('web', 'main')],
      }),
    };
    expect(unusual(more)).toEqual(['review local-image']);
  });

  it('asks for a look at images that are named by digest', () => {
    const pinned = podContainer('web', 'main', { RequestedImage: 'r.example/app@sha256:0123' });
    expect(unusual(withContainers(pinned))).toEqual(['review digest-pin']);
  });

  it('reports an image for another platform', () => {
    const images = [image('sha256:app', { Architecture: 'arm64', Os: 'linux' })];
    expect(unusual({ engine: engine({ images, containers: [podContainer('web', 'main')] }) })).toEqual([
      'change image-arch',
    ]);
  });

  it('forbids the move of an Engine that is told to pull schema 1', () => {
    const path = '/etc/systemd/system/docker.service.d/old.conf';
    const text = '[Service]\nEnvironment=DOCKER_ENABLE_DEPRECATED_PULL_SCHEMA_1_IMAGE=1';
    expect(unusual({ files: files({ ...CNI, [path]: text }) })).toEqual(['block schema1']);
  });
});

describe('the inventory of kubelet', () => {
  const kubelet = plainNode().kubelet!;
  const bridge = { value: 'unix:///run/cri-dockerd.sock', from: 'flag' };

  it('names every place with the endpoint, an obsolete flag and a unit', () => {
    const more: Partial<NodeFacts> = {
      kubelet: { ...kubelet, endpoint: bridge, arguments: ['--container-runtime=remote'] },
      files: files({
        ...CNI,
        '/var/lib/kubelet/kubeadm-flags.env':
          'KUBELET_KUBEADM_ARGS="--container-runtime=remote --container-runtime-endpoint=unix:///run/cri-dockerd.sock --pod-infra-container-image=k8s.gcr.io/pause:3.6"',
        '/var/lib/kubelet/instance-config.yaml':
          'kind: x\ncontainerRuntimeEndpoint: unix:///run/cri-dockerd.sock\n',
        '/etc/systemd/system/kubelet.service.d/20-docker.conf': '[Unit]\nRequires=docker.service',
        '/etc/crictl.yaml': 'runtime-endpoint: unix:///run/cri-dockerd.sock',
      }),
      directories: {
        ...plainNode().directories,
        '/run': ['cri-dockerd.sock'],
        '/run/containerd': ['containerd.sock'],
      },
    };
    expect(unusual(more)).toEqual([
      'change kubelet-endpoint',
      'change kubelet-flags',
      'change kubelet-unit',
      'change kubelet-instance-config',
      'change crictl-conf',
      'review kubelet-annotation',
      'review kubelet-sockets',
    ]);
    expect(places('kubelet-endpoint', more)).toEqual(['/var/lib/kubelet/kubeadm-flags.env:1']);
    const [endpoint] = takeInventory(plainNode(more)).filter(({ id }) => id === 'kubelet-endpoint');
    expect(endpoint?.evidence[0]?.what).toBe('--container-runtime-endpoint=unix:///run/cri-dockerd.sock');
    expect(places('kubelet-unit', more)).toEqual(['/etc/systemd/system/kubelet.service.d/20-docker.conf:2']);
    expect(places('kubelet-instance-config', more)).toEqual(['/var/lib/kubelet/instance-config.yaml:2']);
  });

  it("forbids the move when kubelet's configuration is broken", () => {
    const problems = ['/var/lib/kubelet/config.yaml: is not a KubeletConfiguration'];
    expect(unusual({ kubelet: { ...kubelet, problems } })).toEqual(['block kubelet-config']);
  });

  it("forbids the move when kubelet's cgroup driver is not that of the Engine", () => {
    expect(unusual({ kubelet: { ...kubelet, cgroupDriver: { value: 'cgroupfs', from: 'flag' } } })).toEqual([
      'block cgroup',
    ]);
  });

  it('asks for a look at a node without kubelet', () => {
    const { kubelet: _, ...bare } = plainNode();
    expect(idsOf(takeInventory(bare))).toEqual(
      expect.arrayContaining(['review kubelet-endpoint', 'review cgroup']),
    );
  });
});

describe('the inventory of containerd', () => {
  it('reports CRI that is turned off, with the line', () => {
    const more = {
      files: files({ ...CNI, '/etc/containerd/config.toml': '# stub\ndisabled_plugins = ["cri"]\n' }),
    };
    expect(unusual(more)).toEqual(['change containerd-cri-off']);
    expect(places('containerd-cri-off', more)).toEqual(['/etc/containerd/config.toml:2']);
  });

  it('says that the plan turns CRI on and keeps a copy of the file', () => {
    const text = 'version = 3\nroot = "/x"\ndisabled_plugins = ["cri"]\n';
    const [found] = takeInventory(
      plainNode({ files: files({ ...CNI, '/etc/containerd/config.toml': text }) }),
    ).filter(({ id }) => id === 'containerd-cri-off');
    expect(found?.advice).toContain('The plan turns CRI on and keeps a copy of the file.');
  });

  it('reports a configuration that is not TOML, with the line', () => {
    const more = { files: files({ ...CNI, '/etc/containerd/config.toml': 'version = 3\nroot = \n' }) };
    expect(unusual(more)).toEqual(['change containerd-config']);
    expect(places('containerd-config', more)).toEqual(['/etc/containerd/config.toml:2']);
  });

  const severities = (more: Partial<NodeFacts>) =>
    takeInventory(plainNode(more)).flatMap(({ id, severity }) =>
      id === 'containerd-shared' ? severity : [],
    );

  it.each([
    ['/run/containerd/containerd.sock', 'review'],
    ['unix:///var/run/containerd/containerd.sock', 'review'],
    ['/var/run/docker/containerd/containerd.sock', 'ok'],
  ])("knows whether the containerd at %s is Docker's own", (Address, expected) => {
    const { info } = engine();
    expect(severities({ engine: engine({ info: { ...info, Containerd: { Address } } }) })).toEqual([
      expected,
    ]);
  });

  it('assumes that a containerd of which nothing is known belongs to the node', () => {
    // dockerd makes this directory with any containerd.
    expect(severities({ directories: { '/run/docker/containerd': ['daemon/'] } })).toEqual(['review']);
  });
});

describe('the inventory of the machine', () => {
  it('reports limits of open files that containerd 2 does not give', () => {
    const running = podContainer('web', 'main', { OpenFiles: { soft: '1048576', hard: '1048576' } });
    const path = '/usr/lib/systemd/system/docker.service';
    const more = {
      ...withContainers(running),
      files: files({ ...CNI, [path]: '[Service]\nLimitNOFILE=infinity' }),
    };
    expect(unusual(more)).toEqual(['change ulimits']);
    expect(places('ulimits', more)).toEqual(['container main of pod default/web']);
    expect(places('ulimits', { files: more.files })).toEqual([`${path}:2`]);
  });

  it('reports no limits that containerd 2 gives, too', () => {
    const running = podContainer('web', 'main', { OpenFiles: { soft: '1024', hard: '524288' } });
    expect(unusual(withContainers(running))).toEqual([]);
  });

  // dockerd is a Go program, which raises its own limit.
  it("reports neither dockerd's own limit nor one of a container that is higher than its sandbox's", () => {
    const limits = { soft: '524287', hard: '524288' };
    const programs = [{ name: 'dockerd' as const, pid: 1, args: [], openFiles: limits }];
    const processes = { programs, socketClients: [] };
    expect(unusual({ processes })).toEqual([]);
    const coredns = podContainer('dns', 'main', { OpenFiles: limits });
    const sandbox = podContainer('dns', 'POD', { OpenFiles: { soft: '1024', hard: '524288' } });
    expect(unusual({ ...withContainers(coredns, sandbox), processes })).toEqual([]);
  });

  it("reads the limit of the unit that starts the shims, unless Docker's default-ulimits set one", () => {
    const unit = (name: string) => ({
      [`/usr/lib/systemd/system/${name}.service`]: '[Service]\nLimitNOFILE=infinity\n',
    });
    const shared = { directories: { ...plainNode().directories, '/run/docker/containerd': [] } };
    const ids = (more: Partial<NodeFacts>) => unusual(more).filter((id) => id.includes('ulimits'));
    expect(ids({ ...shared, files: files({ ...CNI, ...unit('docker') }) })).toEqual([]);
    expect(ids({ ...shared, files: files({ ...CNI, ...unit('containerd') }) })).toEqual(['change ulimits']);
    const json = '{"default-ulimits": {"nofile": {"Soft": 4096, "Hard": 4096}}}';
    expect(ids({ files: files({ ...CNI, ...unit('docker'), '/etc/docker/daemon.json': json }) })).toEqual([
      'change setting-default-ulimits',
    ]);
  });

  it('reports settings of the kernel that are in no file', () => {
    const host = { ...plainNode().host, sysctls: { 'net.ipv4.ip_forward': '1' } };
    expect(unusual({ host })).toEqual(['change sysctl']);
    expect(
      unusual({ host, files: files({ ...CNI, '/etc/sysctl.d/k8s.conf': 'net.ipv4.ip_forward = 1' }) }),
    ).toEqual([]);
  });

  it("reports cgroup v1, the rules of the firewall, and a volume of Docker's own", () => {
    const { info } = engine();
    const { host } = plainNode();
    const disks = host.disks.map((disk) => ({ ...disk, isMountPoint: disk.path === '/var/lib/docker' }));
    const more = {
      engine: engine({ info: { ...info, CgroupVersion: '1' }, dockerdArguments: [] }),
      host: { ...host, disks },
    };
    expect(unusual(more)).toEqual(['change disk', 'review cgroup-v1', 'review iptables']);
  });

  it('looks at the file system on which the plan puts the data', () => {
    const { info } = engine();
    const { host } = plainNode();
    const [plain] = host.disks;
    const volume = { ...plain!, path: '/mnt/disk1', device: 2, isMountPoint: true };
    const images = [image('sha256:app')];
    const withRoom = (onVolume: number, onUsual: number) =>
      unusual({
        host: {
          ...host,
          disks: [
            ...host.disks.map((disk) => ({ ...disk, freeBytes: onUsual })),
            { ...volume, freeBytes: onVolume },
          ],
        },
        engine: engine({
          info: { ...info, DockerRootDir: '/mnt/disk1' },
          dockerdArguments: ['--iptables=false', '--data-root=/mnt/disk1'],
          images,
          containers: [podContainer('web', 'main')],
        }),
      });
    expect(withRoom(50e9, 1e6)).toEqual(['change setting-data-root']);
    expect(withRoom(1e6, 50e9)).toEqual(['change setting-data-root', 'change disk']);
  });

  describe('on which containerd is shared', () => {
    const directories = { ...plainNode().directories, '/run/docker/containerd': [] };
    const { info } = engine();
    const { host } = plainNode();
    const [plain] = host.disks;
    const disks = [
      ...host.disks.map((disk) => ({ ...disk, freeBytes: 1e6 })),
      { ...plain!, path: '/data/docker', device: 2 },
    ];
    const more: Partial<NodeFacts> = {
      directories,
      host: { ...host, disks },
      engine: engine({
        info: { ...info, DockerRootDir: '/data/docker' },
        dockerdArguments: ['--iptables=false', '--data-root=/data/docker'],
        images: [image('sha256:app')],
        containers: [podContainer('web', 'main')],
      }),
    };
    const finding = (id: string, facts = more) =>
      takeInventory(plainNode(facts)).find((one) => one.id === id);

    it("looks at containerd's own place, whatever Docker's data-root is", () => {
      expect(finding('disk')).toMatchObject({
        severity: 'change',
        summary: expect.stringContaining('/var/lib/containerd has too little room') as string,
      });
      const main = files({ ...CNI, '/etc/containerd/config.toml': 'root = "/data/docker/ctrd"\n' });
      expect(finding('disk', { ...more, files: main })).toMatchObject({ severity: 'ok' });
    });

    it('says that the data-root has no effect on containerd', () => {
      expect(finding('setting-data-root')?.summary).toContain(
        'On containerd, the setting "data-root" has no effect on containerd, which keeps its data in /var/lib/containerd.',
      );
    });
  });

  it('ignores the link and the user namespace in the directory that Docker reports', () => {
    const { info } = engine();
    const { host } = plainNode();
    const disks = [
      ...host.disks.map((disk) => ({ ...disk, freeBytes: 1e6 })),
      { ...host.disks[0]!, path: '/mnt/big/docker', device: 2 },
    ];
    expect(
      unusual({
        host: { ...host, disks },
        engine: engine({
          info: { ...info, DockerRootDir: '/mnt/big/docker' },
          images: [image('sha256:app')],
          containers: [podContainer('web', 'main')],
        }),
      }),
    ).toEqual(['change disk']);
  });

  it('reports a disk without room for a second copy of the images', () => {
    const { host } = plainNode();
    const disks = host.disks.map((disk) => ({ ...disk, freeBytes: 1e6 }));
    const images = [image('sha256:app')];
    expect(
      unusual({
        host: { ...host, disks },
        engine: engine({ images, containers: [podContainer('web', 'main')] }),
      }),
    ).toEqual(['change disk']);
  });
});

describe("the inventory of Docker's configuration", () => {
  it('forbids the move when daemon.json is broken, and names the line', () => {
    const more = {
      files: files({ ...CNI, '/etc/docker/daemon.json': '{\n  "debug": true,\n  "bip" "x"\n}\n' }),
    };
    expect(unusual(more)).toEqual(['block daemon-json-broken']);
    expect(places('daemon-json-broken', more)).toEqual(['/etc/docker/daemon.json:3']);
  });

  it.each([
    ['', undefined],
    ['{}', undefined],
    ['[]', 1],
    ['{\n"a": 1,\n}', 3],
    ['{\n"a": 1', 2],
    ['{\n\n"a": tru\n}', 3],
  ])('finds the line of the mistake, if there is one, in %j', (text, line) => {
    expect(jsonProblem(text)?.line).toBe(line);
  });
});
