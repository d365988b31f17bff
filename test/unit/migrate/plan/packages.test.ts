import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { OLDEST_CONTAINERD, VERSION_PATTERNS } from '../../../../src/migrate/plan/containerd-version';
import { makePlan, type Plan, type PlanInput } from '../../../../src/migrate/plan/plan';
import { KUBELET_FILES, nodeFacts, type FakeNode } from './node-facts';

const shell = promisify(execFile);

function planFor(node: FakeNode = {}, more: Partial<PlanInput> = {}): Plan {
  return makePlan({
    facts: nodeFacts(node),
    findings: [],
    target: 'containerd',
    version: '1',
    accepted: [],
    keepDocker: false,
    originals: new Map(),
    ...more,
  });
}

const stepOf = ({ steps }: Plan, id: string) => steps.find((one) => one.id === id)!;
const onSystem = (osRelease: string): FakeNode => ({
  files: { ...KUBELET_FILES, '/etc/os-release': osRelease },
});

const SYSTEMS = {
  debian: 'PRETTY_NAME="Debian"\nID=debian\n',
  ubuntu: 'ID=ubuntu\nID_LIKE=debian\n',
  rocky: 'ID="rocky"\nID_LIKE="rhel centos fedora"\n',
  suse: 'ID="opensuse-leap"\nID_LIKE="suse opensuse"\n',
  arch: 'ID=arch\n',
};

describe('the step install', () => {
  it.each([
    ['debian', 'containerd', /^apt-get install .*--no-remove .* containerd$/],
    ['ubuntu', 'cri-o', /^apt-get install .* cri-o$/],
    ['rocky', 'containerd', /^dnf install --assumeyes containerd\.io$/],
    ['rocky', 'cri-o', /^dnf install --assumeyes cri-o$/],
    ['suse', 'containerd', /^zypper --non-interactive install containerd$/],
  ] as const)('uses the tool of %s for %s', (system, target, command) => {
    expect(stepOf(planFor(onSystem(SYSTEMS[system]), { target }), 'install').commands).toEqual([
      expect.stringMatching(command),
    ]);
  });

  it('leaves the installation to a person where it does not know the tool', () => {
    expect(stepOf(planFor(onSystem(SYSTEMS.arch)), 'install')).toMatchObject({
      commands: [],
      why: expect.stringContaining('the tool of your distribution') as string,
    });
  });

  // Docker's package containerd.io conflicts with Debian's containerd.
  it.each([
    ['containerd', '/usr/bin/containerd'],
    ['cri-o', '/usr/bin/crio'],
  ] as const)('installs nothing when %s is there', (target, path) => {
    const { commands, undo, title } = stepOf(
      planFor({ facts: { executables: [path] } }, { target }),
      'install',
    );
    expect({ commands, undo, title }).toEqual({
      commands: [],
      undo: [],
      title: `Check the version of ${target}`,
    });
  });

  it('wants the containerd that the configuration needs', () => {
    const version2 = { ...KUBELET_FILES, '/etc/containerd/config.toml': 'version = 2\noom_score = 3\n' };
    expect(stepOf(planFor(), 'install').check[0]?.note).toBe('2.1 or newer');
    expect(stepOf(planFor({ files: version2 }), 'install').check[0]?.note).toBe('1.7 or newer');
  });

  it.each([
    ['containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3', []],
    ['containerd github.com/containerd/containerd 1.7.24 88bf19b', [2]],
    ['containerd github.com/containerd/containerd/v2 2.0.5 fb4c30d', [2]],
    ['containerd github.com/containerd/containerd/v2 2.1.9+unknown', [2, 3]],
    ['containerd containerd.io v2.2.0 1c4457e', [2, 3]],
    ['containerd containerd.io v10.0.1 1c4457e', [2, 3]],
  ] as const)('reads %j', (printed, wanted) => {
    const matching = ([2, 3] as const).filter((version) =>
      new RegExp(`^(?:${VERSION_PATTERNS[version]})$`).test(printed),
    );
    expect(matching).toEqual(wanted);
    expect(Object.keys(OLDEST_CONTAINERD)).toEqual(Object.keys(VERSION_PATTERNS));
  });
});

describe('a target that ran before the plan', () => {
  const enabled = (unit: string): FakeNode => ({
    directories: { '/etc/systemd/system': [`multi-user.target.wants/${unit}.service`] },
  });
  const programs = [{ name: 'containerd' as const, pid: 3, args: [], unit: 'containerd.service' }];
  const running: FakeNode = { facts: { processes: { programs, socketClients: [] } } };

  it.each([
    ['containerd', 'containerd', enabled('containerd')],
    ['containerd', 'containerd', running],
    ['cri-o', 'crio', enabled('crio')],
  ] as const)('goes on with its old files when the steps of %s are taken back', (target, unit, node) => {
    const undo = [...planFor(node, { target }).steps].reverse().flatMap((one) => one.undo);
    expect(undo).not.toContain(`systemctl disable --now ${unit}.service`);
    expect(undo.filter((one) => one === `systemctl restart ${unit}.service`)).toHaveLength(1);
  });

  it('is not one that the plan installs', () => {
    const undo = planFor({ directories: { '/etc/systemd/system': [] } }).steps.flatMap((one) => one.undo);
    expect(undo).toContain('systemctl disable --now containerd.service');
    expect(undo).not.toContain('systemctl restart containerd.service');
  });
});

describe('the step stop-engine', () => {
  it('enables again only what was enabled', () => {
    const units = ['dockbridge.service', 'dockbridge.socket', 'docker.service', 'docker.socket'];
    const node: FakeNode = {
      files: Object.fromEntries(units.map((unit) => [`/usr/lib/systemd/system/${unit}`, ''])),
      directories: {
        '/etc/systemd/system': [
          'multi-user.target.wants/dockbridge.service',
          'multi-user.target.wants/docker.service',
          'sockets.target.wants/docker.socket',
        ],
      },
    };
    expect(stepOf(planFor(node, { target: 'cri-o' }), 'stop-engine').undo).toEqual([
      'systemctl enable docker.socket docker.service dockbridge.service',
      'systemctl start docker.socket docker.service dockbridge.service',
    ]);
  });
});

describe('the undo of stop-engine', () => {
  it('only stops a containerd that ran before, which a later undo starts again', () => {
    const links = ['multi-user.target.wants/containerd.service', 'multi-user.target.wants/docker.service'];
    const { undo } = stepOf(planFor({ directories: { '/etc/systemd/system': links } }), 'stop-engine');
    expect(undo[0]).toBe('systemctl stop containerd.service');
    expect(stepOf(planFor(), 'stop-engine').undo[0]).toBe('systemctl disable --now containerd.service');
  });
});

describe('the step drain', () => {
  it('tells of pods without a controller, and of the only node of the control plane', () => {
    const why = (node: FakeNode) => stepOf(planFor(node), 'drain').why;
    expect(why({})).toContain('--force');
    expect(why({})).not.toContain('API server');
    const manifests = { '/etc/kubernetes/manifests': ['etcd.yaml'] };
    expect(why({ directories: manifests })).toContain('If this is the only one, the API server ends');
  });
});

describe('the step reboot', () => {
  it('drains the node before, and gives it back afterwards', () => {
    expect(stepOf(planFor(), 'reboot').commands).toEqual([
      'kubectl drain n1 --ignore-daemonsets --delete-emptydir-data',
      'systemctl reboot',
      'kubectl uncordon n1   # after the reboot',
    ]);
  });
});

describe('the step clean-up', () => {
  /** Runs the commands one after another, as a person does, with programs that only say how they were called. */
  async function run(system: string, node: FakeNode, isRemoved: boolean): Promise<string[]> {
    const { commands } = stepOf(planFor({ ...node, ...onSystem(system) }), 'clean-up');
    const fakes = `
      dpkg-query() { echo "installed docker-ce"; echo "config-files docker.io"; return 1; }
      rpm() { echo docker-ce; echo "package docker is not installed"; return 1; }
      for tool in apt-get dnf zypper rm; do eval "$tool() { echo \\"$tool \\$*\\"; return ${isRemoved ? 0 : 100}; }"; done
      xargs() { echo "xargs $*"; }
      ctr() {
        if [ "$*" = "namespaces ls -q" ]; then echo moby; elif [ "$4" != ls ]; then echo "ctr $*"; fi
      }
      command() { return ${isRemoved ? 1 : 0}; }
    `;
    const { stdout } = await shell('bash', ['-c', [fakes, ...commands, 'true'].join('\n')]);
    return stdout.trim().split('\n');
  }

  const DATA = 'rm -rf --one-file-system /var/lib/docker';

  it.each([
    [SYSTEMS.debian, 'apt-get remove docker-ce'],
    [SYSTEMS.rocky, 'dnf --setopt=clean_requirements_on_remove=False remove docker-ce'],
    [SYSTEMS.suse, 'zypper remove docker-ce'],
  ])('removes the packages that are installed, and then the data (%j)', async (system, removal) => {
    expect(await run(system, {}, true)).toEqual([removal, DATA]);
    expect(await run(system, {}, false)).toEqual([removal]);
  });

  it('leaves the packages to a person where it does not know the tool', async () => {
    expect(await run(SYSTEMS.arch, {}, true)).toEqual([DATA]);
    expect(stepOf(planFor(onSystem(SYSTEMS.arch)), 'clean-up').why).toContain('but not containerd');
  });

  const inContainerd = (namespaces?: object): FakeNode => ({
    directories: { '/run/docker/containerd': [] },
    facts: {
      engine: {
        ...nodeFacts().engine!,
        info: {
          ...nodeFacts().engine!.info,
          DriverStatus: [['driver-type', 'io.containerd.snapshotter.v1']],
          Containerd: { Address: '/run/containerd/containerd.sock', ...namespaces },
        },
      },
    },
  });

  it("removes the Engine's images from a containerd that stays", async () => {
    const removal = (name: string) => [
      `xargs -r ctr -n ${name} containers rm`,
      `xargs -r ctr -n ${name} images rm --sync`,
      `xargs -r ctr -n ${name} leases rm --sync`,
    ];
    expect(await run(SYSTEMS.debian, inContainerd(), true)).toEqual([
      'apt-get remove docker-ce',
      ...removal('moby'),
      'ctr namespaces rm moby',
      // There is no such namespace.
      ...removal('plugins.moby'),
      DATA,
    ]);
    const Namespaces = { Containers: 'mine', Plugins: 'plugins.mine' };
    expect(stepOf(planFor(inContainerd({ Namespaces })), 'clean-up').commands.join()).toContain(
      'ctr namespaces rm mine',
    );
  });

  it('removes nothing from containerd when the Engine has a store or a containerd of its own', () => {
    const own = { ...inContainerd(), directories: { '/run/docker/containerd': ['containerd.sock'] } };
    const Address = '/run/docker/containerd/containerd.sock';
    const engine = own.facts!.engine!;
    const facts = { engine: { ...engine, info: { ...engine.info, Containerd: { Address } } } };
    for (const plan of [planFor(), planFor({ ...own, facts })])
      expect(stepOf(plan, 'clean-up').commands.join()).not.toContain('ctr');
  });
});

describe('a containerd that the Engine shares', () => {
  it('shows the carried images when CRI is on', () => {
    const checks = (daemonJson: string) =>
      stepOf(planFor({ daemonJson }), 'start-target').check.map(({ command }) => command);
    const line = 'crictl --image-endpoint unix:///run/containerd/containerd.sock images';
    expect(checks('{"containerd": "/run/containerd/containerd.sock"}')).toContain(line);
    expect(checks('{}')).not.toContain(line);
  });
});
