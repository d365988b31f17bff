import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { judge } from '../../../../src/migrate/apply/judge';
import { checkLine } from '../../../../src/migrate/plan/check';
import type { Plan } from '../../../../src/migrate/plan/plan';
import { KUBELET_FILES, nodeFacts, type FakeNode } from './node-facts';
import { planFor, stepOf } from './plan-for';

const shell = promisify(execFile);

describe('the step backup', () => {
  let scratch: string;
  beforeEach(async () => (scratch = await mkdtemp(join(tmpdir(), 'steps-'))));
  afterEach(() => rm(scratch, { recursive: true }));

  const archiveOf = (plan: Plan) =>
    /\/var\/backups\/\S+\.gz/.exec(stepOf(plan, 'backup').check[0]!.command)![0];

  it('keeps the first archive when it runs again', async () => {
    const plan = planFor();
    const [, ...commands] = stepOf(plan, 'backup').commands;
    for (const path of Object.keys(KUBELET_FILES)) {
      await mkdir(dirname(join(scratch, path)), { recursive: true });
      await writeFile(join(scratch, path), 'first');
    }
    const archive = join(scratch, 'archive');
    const here = `set -e\n${commands.join('\n')}`
      .replace('-C /', `-C ${scratch}`)
      .replaceAll(archiveOf(plan), archive);
    await shell('sh', ['-c', here]);
    const first = await readFile(archive);
    await expect(shell('sh', ['-c', here])).rejects.toThrow(`${archive} exists`);
    expect(await readFile(archive)).toEqual(first);
    const { stdout } = await shell('tar', ['-tzf', archive]);
    expect(stdout).toContain('var/lib/kubelet/kubeadm-flags.env\n');
  });

  it('counts as done when the archive has the texts of the plan, and only then', async () => {
    const path = '/var/lib/kubelet/kubeadm-flags.env';
    const plan = planFor();
    const archive = join(scratch, 'archive');
    const results = async (): Promise<string[]> => {
      const names = Object.keys(KUBELET_FILES).map((name) => name.slice(1));
      await shell('tar', ['-C', scratch, '-czf', archive, ...names]);
      return Promise.all(
        stepOf(plan, 'backup').check.map(async (check) => {
          const { stdout } = await shell('bash', ['-c', check.command.replaceAll(archiveOf(plan), archive)]);
          return judge(check, { exitCode: 0, problem: '', output: stdout });
        }),
      );
    };
    for (const [name, content] of Object.entries(KUBELET_FILES)) {
      await mkdir(dirname(join(scratch, name)), { recursive: true });
      await writeFile(join(scratch, name), content);
    }
    const good = await results();
    expect(good.length).toBeGreaterThan(1);
    expect(good.join('')).toBe('');
    await writeFile(join(scratch, path), 'edited by the plan');
    expect((await results()).filter((why) => why !== '')).toHaveLength(1);
  });

  it('has another archive for a plan of changed files, and the later steps read it', () => {
    const first = planFor();
    const second = planFor({ files: { ...KUBELET_FILES, '/etc/crictl.yaml': 'timeout: 5\n' } });
    expect(archiveOf(second)).not.toBe(archiveOf(first));
    expect(archiveOf(planFor())).toBe(archiveOf(first));
    expect(stepOf(first, 'edit-kubelet').undo[0]).toContain(archiveOf(first));
  });
});

describe('the certificates of registries', () => {
  const plan = planFor({
    directories: {
      '/etc/docker/certs.d': ['a.example/ca.crt', 'b.example/ca.crt', 'b.example/client.key'],
      '/etc/containerd/certs.d': ['b.example/ca.crt'],
    },
  });
  const { commands, undo } = stepOf(plan, 'write-target');

  it('are copied one by one, and not over those of the target', () => {
    expect(commands.filter((command) => command.includes('cp '))).toEqual([
      expect.stringMatching(/ \/etc\/containerd\/certs.d\/a.example\/ca.crt; }$/),
      expect.stringMatching(/ \/etc\/containerd\/certs.d\/b.example\/client.key; }$/),
    ]);
  });

  it('leave the target again when the step is taken back', () => {
    expect(undo).toContain(
      'rm -f /etc/containerd/certs.d/a.example/ca.crt /etc/containerd/certs.d/a.example/ca.crt.new',
    );
    expect(undo.join('\n')).not.toContain('b.example/ca.crt');
  });

  it("stand in the backup with the target's own", () => {
    expect(stepOf(plan, 'backup').commands[2]).toContain(' etc/containerd/certs.d ');
  });
});

describe('the step stop-engine', () => {
  const commandOf = (paths: readonly string[], programs: readonly string[] = []) =>
    stepOf(
      planFor({
        files: { ...KUBELET_FILES, ...Object.fromEntries(paths.map((path) => [path, '[Unit]\n'])) },
        facts: {
          processes: {
            programs: programs.map((name) => ({ name: name as 'dockbridge', pid: 1, args: [] })),
            socketClients: [],
          },
        },
      }),
      'stop-engine',
    ).commands;

  it("stops the units that the node has, dockbridge's socket among them", () => {
    const units = ['dockbridge.service', 'dockbridge.socket', 'docker.service'];
    expect(
      commandOf(
        units.map((unit) => `/usr/lib/systemd/system/${unit}`),
        ['dockbridge'],
      ),
    ).toEqual(['systemctl disable --now dockbridge.service dockbridge.socket docker.service']);
  });

  it("stops the node's containerd before dockerd starts again and takes it for its own", () => {
    const undoOf = (containerd: string, keepDocker = false) =>
      stepOf(
        planFor({ daemonJson: JSON.stringify({ containerd }) }, 'containerd', { keepDocker }),
        'stop-engine',
      ).undo;
    const own = undoOf('/run/docker/containerd/containerd.sock');
    expect(own).toEqual([
      'systemctl disable --now containerd.service',
      expect.stringMatching(/^systemctl enable docker\./) as string,
      expect.stringMatching(/^systemctl start docker\./) as string,
    ]);
    expect(undoOf('/run/containerd/containerd.sock')).toEqual(own.slice(1));
    expect(undoOf('/run/docker/containerd/containerd.sock', true).join()).not.toContain('containerd.service');
  });

  it('stops a bridge whose unit is called cri-dockerd', () => {
    expect(commandOf(['/etc/systemd/system/cri-dockerd.service'])).toEqual([
      'systemctl disable --now cri-dockerd.service docker.service docker.socket',
    ]);
  });
});

describe('the name of the Node', () => {
  const drainOf = (hostname: string, args: readonly string[]) =>
    stepOf(
      planFor({
        facts: {
          host: { ...nodeFacts().host, hostname },
          kubelet: { ...nodeFacts().kubelet!, arguments: args },
        },
      }),
      'drain',
    ).commands[0];

  it('is that of the machine in lower case', () => {
    expect(drainOf('Node-1.Example\n', [])).toBe('kubectl cordon node-1.example');
  });

  it("is that of kubelet's flag, quoted if a shell would change it", () => {
    expect(drainOf('n1', ['--hostname-override=other'])).toBe('kubectl cordon other');
    expect(drainOf('n1; reboot', [])).toBe("kubectl cordon 'n1; reboot'");
  });
});

describe('the settings of the kernel that only dockerd made', () => {
  const sysctls = { 'net.ipv4.ip_forward': '1', 'net.bridge.bridge-nf-call-iptables': '1' };
  const host = { ...nodeFacts().host, sysctls };
  const textsOf = (files: Record<string, string>) =>
    planFor({ files: { ...KUBELET_FILES, ...files }, facts: { host } }, 'cri-o')
      .files.filter(({ path }) => /sysctl|modules/.test(path))
      .map(({ path, text }) => [path, text.replace(/^#.*\n/, '')]);

  it('get files, so that they are there after a reboot', () => {
    expect(textsOf({})).toEqual([
      [
        '/etc/sysctl.d/90-from-docker.conf',
        'net.ipv4.ip_forward = 1\nnet.bridge.bridge-nf-call-iptables = 1\n',
      ],
      ['/etc/modules-load.d/from-docker.conf', 'br_netfilter\n'],
    ]);
  });

  it('get no file when files of the node already set them', () => {
    const text = Object.keys(sysctls).map((name) => `${name}=1\n`);
    expect(textsOf({ '/etc/sysctl.d/k8s.conf': text.join(''), '/etc/modules': 'br_netfilter\n' })).toEqual(
      [],
    );
  });
});

describe('a containerd that the Engine shares', () => {
  const shared = { daemonJson: '{"containerd": "/run/containerd/containerd.sock"}' };

  it('shows the carried images without CRI, which may be off until the drain', () => {
    expect(stepOf(planFor(shared), 'images').check.map(checkLine)).toEqual([
      'ctr --address /run/containerd/containerd.sock -n k8s.io images ls',
    ]);
    expect(stepOf(planFor(), 'images').check[0]!.command).toContain('crictl');
  });

  it('restarts with its old files when the steps are undone', () => {
    const undo = [...planFor(shared).steps].reverse().flatMap((one) => one.undo);
    const restart = undo.indexOf('systemctl restart containerd.service');
    expect(restart).toBeGreaterThan(undo.findIndex((one) => one.includes('/etc/containerd/config.toml')));
    expect(undo.lastIndexOf('systemctl restart containerd.service')).toBe(restart);
  });

  it('must be of version 2 for a configuration of version 3', () => {
    const node = (Version: string, files = {}) => ({
      ...shared,
      files: { ...KUBELET_FILES, ...files },
      facts: {
        engine: {
          ...nodeFacts().engine!,
          version: {
            ...nodeFacts().engine!.version,
            Version: '27.5.1',
            Components: [{ Name: 'containerd', Version }],
          },
        },
      },
    });
    expect(() => planFor(node('1.7.25'))).toThrow('containerd 1.7.25');
    expect(planFor(node('v2.1.4')).target).toBe('containerd');
    const old = { '/etc/containerd/config.toml': 'version = 2\noom_score = 3\n' };
    expect(planFor(node('1.7.25', old)).target).toBe('containerd');
    expect(planFor(node('1.7.25'), 'cri-o').target).toBe('cri-o');
  });
});

describe("the path of containerd's configuration", () => {
  const pathsOf = (node: FakeNode) => planFor(node).files.map(({ path }) => path);
  const started = (...commands: string[][]): FakeNode => ({
    facts: {
      processes: {
        programs: commands.map((args, at) => ({ name: 'containerd', pid: at + 1, args })),
        socketClients: [],
      },
    },
  });

  it('is that of the process, but not that of dockerd', () => {
    const docker = ['--config', '/var/run/docker/containerd/containerd.toml'];
    expect(pathsOf(started(docker))).toContain('/etc/containerd/config.toml');
    const paths = pathsOf(started(docker, ['-c', '/opt/ctrd.toml']));
    expect(paths).toContain('/opt/ctrd.toml');
    expect(paths).not.toContain('/etc/containerd/config.toml');
    expect(
      stepOf(planFor(started(docker, ['-c', '/opt/ctrd.toml'])), 'write-target').check[0]!.command,
    ).toContain('containerd --config /opt/ctrd.toml config dump');
  });

  it('is that of the unit when containerd does not run', () => {
    const unit = '[Service]\nExecStart=/usr/bin/containerd --config=/opt/ctrd.toml\n';
    const path = '/etc/systemd/system/containerd.service';
    expect(pathsOf({ files: { ...KUBELET_FILES, [path]: unit } })).toContain('/opt/ctrd.toml');
  });
});

describe('the step enable-metrics', () => {
  const daemonJson = '{"metrics-addr": "127.0.0.1:9323"}';
  const shared = '{"metrics-addr": "127.0.0.1:9323", "containerd": "/run/containerd/containerd.sock"}';

  it.each([
    ['containerd', daemonJson],
    ['containerd', shared],
    ['cri-o', daemonJson],
  ] as const)('gives the port to %s when Docker has stopped (%s)', (target, text) => {
    const plan = planFor({ daemonJson: text }, target);
    const withPort = plan.files.filter((file) => file.text.includes('9323'));
    expect(withPort).toMatchObject([{ step: 'enable-metrics' }]);
    const ids = plan.steps.map(({ id }) => id);
    expect(ids.indexOf('enable-metrics')).toBeGreaterThan(ids.indexOf('stop-engine'));
    expect(ids.indexOf('enable-metrics')).toBeGreaterThan(ids.indexOf('start-target'));
    expect(stepOf(plan, 'enable-metrics').commands[0]).toContain(withPort[0]!.path);
  });

  it('is done by hand when Docker stays', () => {
    const plan = planFor({ daemonJson }, 'containerd', { keepDocker: true });
    expect(stepOf(plan, 'enable-metrics')).toMatchObject({
      commands: [],
      why: expect.stringContaining('done by hand') as string,
    });
  });

  it('is missing without metrics', () => {
    expect(planFor().steps.map(({ id }) => id)).not.toContain('enable-metrics');
  });
});
