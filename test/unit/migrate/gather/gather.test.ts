import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { NodeFacts } from '../../../../src/migrate/facts';
import type { InventoryClient } from '../../../../src/migrate/gather/engine';
import { gatherFacts } from '../../../../src/migrate/gather/gather';
import { unitOf } from '../../../../src/migrate/gather/processes';
import { engine } from '../support/node-facts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'gather-'));
  await put('proc/self/mountinfo', '');
  await setSpaces('self');
});
afterEach(() => rm(root, { recursive: true }));

async function put(name: string, text: string): Promise<void> {
  await mkdir(dirname(join(root, name)), { recursive: true });
  await writeFile(join(root, name), text);
}

interface FakeProcess {
  readonly pid: number;
  readonly words: readonly string[];
  readonly environment?: readonly string[];
  readonly unit?: string;
  /** The process is in a container. */
  readonly isInside?: boolean;
}

async function start({
  pid,
  words,
  environment = [],
  unit = '',
  isInside = false,
}: FakeProcess): Promise<void> {
  const put_ = (name: string, text: string) => put(`proc/${pid}/${name}`, text);
  await put_('cmdline', words.map((word) => `${word}\0`).join(''));
  await put_('comm', `${words[0]!.split('/').at(-1)!}\n`);
  await put_('status', 'Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\n');
  await put_('environ', environment.map((one) => `${one}\0`).join(''));
  await put_('cgroup', `0::/system.slice/${unit}\n`);
  await setSpaces(String(pid), isInside ? 'inside' : 'host');
}

async function setSpaces(pid: string, place = 'host'): Promise<void> {
  await mkdir(join(root, 'proc', pid, 'ns'), { recursive: true });
  // A container with the network of the node.
  await symlink('net:[host]', join(root, 'proc', pid, 'ns/net'));
  for (const kind of ['pid', 'mnt']) await symlink(`${kind}:[${place}]`, join(root, 'proc', pid, 'ns', kind));
}

async function gather(info: object = {}): Promise<NodeFacts> {
  const docker: InventoryClient = {
    version: () => Promise.resolve(engine().version),
    info: () => Promise.resolve({ ...engine().info, ...info } as never),
    listContainers: () => Promise.resolve([]),
    listImages: () => Promise.resolve([]),
    inspectContainer: () => Promise.reject(new Error('there is none')),
    inspectImage: () => Promise.reject(new Error('there is none')),
  };
  return gatherFacts({ root, docker, endpoint: 'unix:///var/run/docker.sock' });
}

describe("dockbridge's options", () => {
  const DOCKBRIDGE = { pid: 7, words: ['/usr/lib/dockbridge/node', '/usr/lib/dockbridge/main.js', 'serve'] };

  beforeEach(async () => {
    await put('etc/dockbridge/config.yaml', '# ours\npod-infra-container-image: r.example/pause:1\n');
    await put('etc/dockbridge/config.d/50-cni.yaml', 'cni-bin-dir: [/opt/a, /opt/b]\nlog-level: debug\n');
  });

  it('come from its files and the environment of its process', async () => {
    await start({ ...DOCKBRIDGE, environment: ['DOCKBRIDGE_CNI_CONF_DIR=/etc/test/net.d', 'TOKEN=planted'] });
    const { bridgeOptions } = await gather();
    expect(bridgeOptions).toEqual({
      'pod-infra-container-image': { value: 'r.example/pause:1', from: '/etc/dockbridge/config.yaml:2' },
      'cni-bin-dir': { value: '/opt/a,/opt/b', from: '/etc/dockbridge/config.d/50-cni.yaml:1' },
      'cni-conf-dir': { value: '/etc/test/net.d', from: 'DOCKBRIDGE_CNI_CONF_DIR' },
    });
  });

  it('are those of the file of its unit when dockbridge does not run', async () => {
    await put('etc/default/dockbridge', '# x\nDOCKBRIDGE_POD_INFRA_CONTAINER_IMAGE="r.example/pause:2"\n');
    expect((await gather()).bridgeOptions).toMatchObject({
      'pod-infra-container-image': {
        value: 'r.example/pause:2',
        from: 'DOCKBRIDGE_POD_INFRA_CONTAINER_IMAGE',
      },
    });
  });

  it('come from the file that a flag names, and not from the usual ones', async () => {
    await put('etc/other.yaml', 'cni-conf-dir: /c\n');
    await start({ ...DOCKBRIDGE, words: [...DOCKBRIDGE.words, '--config=/etc/other.yaml'] });
    expect((await gather()).bridgeOptions).toEqual({
      'cni-conf-dir': { value: '/c', from: '/etc/other.yaml:1' },
    });
  });

  it('are not taken for those of cri-dockerd', async () => {
    await start({ pid: 8, words: ['/usr/bin/cri-dockerd'] });
    expect((await gather()).bridgeOptions).toEqual({});
  });

  it('decide which directories and files of CNI are read', async () => {
    await put('etc/test/net.d/10.conflist', '{}');
    await put('opt/a/bridge', '');
    await start({ ...DOCKBRIDGE, words: [...DOCKBRIDGE.words, '--cni-conf-dir', '/etc/test/net.d'] });
    const { files, directories } = await gather();
    expect(Object.keys(files)).toContain('/etc/test/net.d/10.conflist');
    expect(directories['/opt/a']).toEqual(['bridge']);
  });
});

describe('the programs of the node', () => {
  it('are shown with their units', async () => {
    await start({ pid: 9, words: ['/usr/bin/dockerd'], unit: 'docker.service' });
    await start({ pid: 10, words: ['/usr/bin/cri-dockerd'] });
    const programs = (await gather()).processes!.programs.map(({ name, unit }) => [name, unit]);
    expect(programs).toEqual([
      ['dockerd', 'docker.service'],
      ['cri-dockerd', ''],
    ]);
  });

  it('do not include the containerd of a container', async () => {
    await start({ pid: 11, words: ['/bin/containerd', '-c', '/var/lib/k3s.toml'], isInside: true });
    await start({ pid: 12, words: ['/usr/bin/containerd'] });
    await put('var/lib/k3s.toml', 'version = 3\n');
    const { processes, files } = await gather();
    expect(processes!.programs.map(({ pid }) => pid)).toEqual([12]);
    expect(Object.keys(files)).not.toContain('/var/lib/k3s.toml');
  });
});

describe('unitOf', () => {
  it.each([
    ['0::/system.slice/docker.service\n', 'docker.service'],
    ['0::/system.slice/cri-docker.service/inner\n', 'cri-docker.service'],
    ['0::/runtime.slice/runtime-node.slice/containerd.service\n', 'containerd.service'],
    ['12:cpu:/a\n1:name=systemd:/system.slice/my-cri.service\n', 'my-cri.service'],
    ['0::/user.slice/user-0.slice/session-1.scope\n', ''],
    ['0::/\n', ''],
  ])('finds the service in %j', (groups, unit) => {
    expect(unitOf(groups)).toBe(unit);
  });
});

describe('what the plan needs of the node', () => {
  it('are the programs of runtimes, wherever they are', async () => {
    await put('etc/docker/daemon.json', '{"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}}');
    for (const [name, mode] of [
      ['usr/local/bin/nvidia-container-runtime', 0o755],
      ['usr/bin/nvidia-container-runtime', 0o644],
      ['usr/libexec/crio/conmon', 0o755],
    ] as const) {
      await put(name, '');
      await chmod(join(root, name), mode);
    }
    expect((await gather()).executables).toEqual([
      '/usr/libexec/crio/conmon',
      '/usr/local/bin/nvidia-container-runtime',
    ]);
  });

  it('are the links of enabled units', async () => {
    await put('etc/systemd/system/docker.service', '');
    await mkdir(join(root, 'etc/systemd/system/multi-user.target.wants'), { recursive: true });
    await symlink('/gone', join(root, 'etc/systemd/system/multi-user.target.wants/docker.service'));
    expect((await gather()).directories['/etc/systemd/system']).toEqual([
      'multi-user.target.wants/docker.service',
    ]);
  });

  it('are the disks of the data-root and of the places of the targets', async () => {
    await put('etc/docker/daemon.json', '{"data-root": "/data/docker"}');
    await put('etc/containerd/config.toml', 'version = 3\nroot = "/big/containerd"\n');
    const { host } = await gather({ DockerRootDir: '/data/docker/100000.100000' });
    expect(host.disks.map(({ path }) => path)).toEqual(
      expect.arrayContaining([
        ...['/data/docker/100000.100000', '/data/docker'],
        ...['/big/containerd', '/data/containers/storage'],
      ]),
    );
  });
});

describe("the Engine's registries", () => {
  it('keep names that look like secrets, and lose passwords', async () => {
    const RegistryConfig = {
      IndexConfigs: {
        'token.example:5000': { Name: 'token.example:5000', Secure: false, Official: false, Mirrors: [] },
        'docker.io': { Name: 'docker.io', Secure: true, Official: true, Mirrors: ['https://me:planted@m/'] },
      },
      InsecureRegistryCIDRs: ['127.0.0.0/8'],
      Mirrors: ['https://me:planted@m/'],
    };
    const { engine: found } = await gather({ RegistryConfig });
    expect(found!.info.RegistryConfig?.IndexConfigs?.['token.example:5000']).toEqual(
      RegistryConfig.IndexConfigs['token.example:5000'],
    );
    expect(JSON.stringify(found)).not.toContain('planted');
    expect(found!.info.RegistryConfig?.Mirrors).toEqual(['https://[removed]@m/']);
  });
});
