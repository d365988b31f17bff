import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  judgeClock,
  judgeDaemonJson,
  judgeEngine,
  judgeHalf,
  judgeLiveRestore,
  judgePauseImage,
  judgeSilence,
  type DaemonJsonFacts,
} from '../../../src/doctor/checks/engine';
import { judgeCni, missingPlugins, type CniFacts } from '../../../src/doctor/checks/cni';
import {
  enabledUnits,
  judgeConfiguration,
  judgeCriDockerd,
  judgePod,
  judgeSocket,
  POD,
  unitOf,
  type CriDockerdFacts,
  type SocketFacts,
} from '../../../src/doctor/checks/dockbridge';
import {
  judgeDisks,
  judgeInotify,
  judgeOpenFiles,
  judgePrograms,
  judgeRights,
  type DiskFacts,
} from '../../../src/doctor/checks/node';
import { STATS_SNIPPET } from '../../../src/doctor/checks/kubelet';
import { CHECKS, PROCESSES } from '../../../src/doctor/checks';
import type { Finding } from '../../../src/doctor/report';
import { parseNetworkList } from '../../../src/network/cni/network-config';
import type { NodeProcess } from '../../../src/node/process/node-processes';
import { toFacts } from '../../../src/translate/shared/engine-facts';

const doc = (name: string): string => readFileSync(join(__dirname, '../../..', name), 'utf8');

/** Returns `level: finding → advice` for each finding. */
const told = (findings: Finding | readonly Finding[]): string[] =>
  [findings].flat().map(({ level, found, cure }) => `${level}: ${found} → ${cure}`);

describe('the documentation of the checks', () => {
  // The sections below "Alerts" explain alerts, not checks.
  const [checks = ''] = doc('docs/troubleshooting.md').split(/^## Alerts$/m);
  const sections = checks.split(/^### /m).slice(1);
  const headings = sections.map((section) => section.split('\n')[0]);

  it('has a heading in docs/troubleshooting.md for each check, and no others', () =>
    expect([...headings].sort()).toEqual([...CHECKS.map(({ id }) => id), PROCESSES, POD].sort()));

  it.each(headings)('has a symptom, a cause and a cure for %s', (heading) => {
    const section = sections.find((text) => text.startsWith(`${heading}\n`));
    expect(section).toMatch(/\*\*Symptom:\*\*[^]*\*\*Cause:\*\*[^]*\*\*Cure:\*\*/);
  });

  it.each(['README.md', 'docs/troubleshooting.md'])('has in %s the snippet that the doctor shows', (name) =>
    expect(doc(name)).toContain(STATS_SNIPPET),
  );
});

describe('the check of the Engine', () => {
  const version = { Version: '28.5.2', ApiVersion: '1.51', Os: 'linux', Arch: 'amd64' };
  const info = {
    ...{ DockerRootDir: '/var/lib/docker', CgroupDriver: 'systemd', CgroupVersion: '2', Driver: 'overlay2' },
    ...{ DefaultRuntime: 'runc', OperatingSystem: 'Debian', KernelVersion: '6.1' },
  };
  const judged = (more: Partial<typeof version>): Finding =>
    judgeEngine('unix:///var/run/docker.sock', toFacts({ ...version, ...more }, info));

  it('describes the Engine', () =>
    expect(told(judged({}))).toEqual([
      'ok: Docker Engine 28.5.2 (API 1.51) at unix:///var/run/docker.sock: overlay2, data in /var/lib/docker, cgroup v2 with systemd → ',
    ]));

  it('warns of an Engine that is older than the tested ones', () =>
    expect(told(judged({ Version: '19.03.1', ApiVersion: '1.40' }))).toEqual([
      expect.stringMatching(/^warn: .*older than 20.10.*→ Update/),
    ]));

  it('reports an Engine whose networks can deadlock', () =>
    expect(judged({ Version: '20.10.24', ApiVersion: '1.41' })).toMatchObject({
      level: 'ok',
      cure: expect.stringContaining('20.10.27') as string,
    }));

  it('reports an Engine that does not answer', () =>
    expect(told(judgeSilence('unix:///x', 'ENOENT'))).toEqual([
      expect.stringMatching(/^fail: unix:\/\/\/x: ENOENT → systemctl status docker/),
    ]));

  it('reports an Engine that hangs half way', () =>
    expect(told(judgeHalf('28.5.2', 'took longer'))).toEqual([
      expect.stringMatching(/^fail: .*28.5.2 answers.*took longer → .*restart docker/),
    ]));

  it('reports an Engine without live-restore', () => {
    expect(judgeLiveRestore(true).level).toBe('ok');
    expect(told(judgeLiveRestore(false))).toEqual([
      expect.stringMatching(/^warn: .*→ Set "live-restore": true/),
    ]);
  });

  it.each([
    [{ SystemTime: '2026-01-01T00:00:10.5Z' }, 'ok', ''],
    [{ SystemTime: '2026-01-01T00:00:01.000000001Z' }, 'warn', '9 s behind ours'],
    [{ SystemTime: '2026-01-01T00:00:41Z' }, 'warn', '30 s ahead of ours'],
    [{ SystemTime: '2026-01-01T00:02:11Z' }, 'fail', '120 s ahead of ours'],
    [{}, 'warn', 'does not report its time'],
  ])('judges an Engine that answers %j between 00:00:10 and 00:00:11 as %s', (answer, level, words) => {
    const at = (second: number): number => Date.parse(`2026-01-01T00:00:${second}Z`);
    const finding = judgeClock({ answer, asked: at(10), answered: at(11) });
    expect([finding.level, finding.found]).toEqual([level, expect.stringContaining(words)]);
    if (level !== 'ok') expect(finding.cure).not.toBe('');
  });

  it.each([
    [{ present: 'pause:3', canImport: false }, /^ok: .*pause:3/],
    [{ present: undefined, canImport: true }, /^ok: the first pod pulls registry\/pause.* after 30 s/],
    [{ present: undefined, canImport: false }, /^warn: .*no pod can start.* → docker pull registry\/pause/],
  ])('reports on the pause image: %j', (given, text) =>
    expect(told(judgePauseImage({ configured: 'registry/pause:3', ...given }))).toEqual([
      expect.stringMatching(text),
    ]),
  );
});

describe('the check of the configuration', () => {
  it('accepts a configuration without errors', () =>
    expect(told(judgeConfiguration([], []))).toEqual([expect.stringMatching(/^ok: .* → $/)]));

  it('has a line for each error', () =>
    expect(
      told(
        judgeConfiguration(
          [
            { file: '/etc/c.yaml', line: 3, message: 'no such option' },
            { file: '/etc/d.yaml', line: 0, message: 'there is no such file' },
          ],
          [],
        ),
      ),
    ).toEqual([
      expect.stringMatching(/^fail: \/etc\/c\.yaml:3: no such option → .*dockbridge config check/),
      expect.stringMatching(/^fail: \/etc\/d\.yaml: there is no such file → .*dockbridge config check/),
    ]));

  it('has a warning for each value that a variable or a flag overrides, with the place to change', () => {
    const override = { option: 'log-level', file: '/etc/c.yaml:3', fileValue: 'debug', value: 'warn' };
    expect(
      told(
        judgeConfiguration(
          [],
          [
            { ...override, by: 'DOCKBRIDGE_LOG_LEVEL' },
            { ...override, by: '--log-level' },
          ],
        ),
      ),
    ).toEqual([
      expect.stringMatching(
        /^warn: \/etc\/c\.yaml:3: log-level: debug has no effect, because DOCKBRIDGE_LOG_LEVEL sets warn → .*\/etc\/default\/dockbridge/,
      ),
      expect.stringMatching(/^warn: .* because --log-level sets warn → .*ExecStart=/),
    ]);
  });
});

describe('the check of daemon.json', () => {
  const judged = (more: Partial<DaemonJsonFacts>): string[] =>
    told(
      judgeDaemonJson({
        ...{
          path: '/etc/docker/daemon.json',
          text: '{}',
          problem: '',
          args: [],
          securityOptions: ['name=seccomp'],
        },
        ...more,
      }),
    );

  it.each<[string, Partial<DaemonJsonFacts>, RegExp]>([
    ['no trouble', {}, /^ok: /],
    ['a missing file', { text: undefined }, /^ok: .* does not exist/],
    [
      'a log buffer',
      { text: '{"log-opts":{"max-buffer-size":"4m"}}' },
      /^warn: log-opts.*→ Remove "max-buffer-size"/,
    ],
    ['a log buffer on the command line', { args: ['--log-opt', 'max-buffer-size=4m'] }, /^warn: log-opts/],
    [
      'remapped users',
      { securityOptions: ['name=userns'] },
      /^warn: userns-remap is on.*→ Remove "userns-remap"/,
    ],
    ['users that are to be remapped', { text: '{"userns-remap":"default"}' }, /^warn: userns-remap is on/],
    ['a file that is not JSON', { text: '{' }, /^fail: .*is not a JSON object.*→ Fix it: dockerd --validate/],
    [
      'a file that dockbridge cannot read',
      { text: undefined, problem: 'EACCES' },
      /^warn: .*EACCES → Run the doctor as root/,
    ],
  ])('reports %s', (_desc, more, text) => expect(judged(more)).toEqual([expect.stringMatching(text)]));
});

describe("the check of dockbridge's socket", () => {
  const judged = (more: Partial<SocketFacts>): string[] =>
    told(
      judgeSocket({
        ...{
          path: '/run/d.sock',
          mode: 0o660,
          isSocket: true,
          problem: '',
          runtime: 'docker 28.5.2',
          version: '0.1.0',
        },
        conditions: [{ type: 'RuntimeReady', status: true, reason: '', message: '' }],
        isCniBroken: false,
        ...more,
      }),
    );

  it.each<[string, Partial<SocketFacts>, RegExp]>([
    ['a daemon that is ready', {}, /^ok: .*dockbridge 0.1.0, docker 28.5.2, RuntimeReady, mode 0660/],
    ['a missing socket', { mode: undefined }, /^fail: nothing listens.*→ Start dockbridge/],
    ['a regular file', { isSocket: false }, /^fail: .*not a socket → Remove it/],
    [
      'a daemon that does not answer',
      { problem: 'UNAVAILABLE' },
      /^fail: .*does not answer: UNAVAILABLE → Start dockbridge/,
    ],
    ['another runtime', { version: '' }, /^fail: .*another runtime \(docker 28.5.2\).*→ Stop that runtime/],
    ['a mode that admits everyone', { mode: 0o666 }, /^fail: .*mode 0666: every user.*→ chmod 0660/],
    ['a mode that admits only root', { mode: 0o600 }, /^warn: .*mode 0600, not 0660 → chmod 0660/],
    [
      'a runtime that is not ready',
      { conditions: [{ type: 'RuntimeReady', status: false, reason: 'EngineTaken', message: 'by another' }] },
      /^fail: RuntimeReady is false: EngineTaken: by another → docs\/reliability.md/,
    ],
    [
      'a network that is not ready',
      { conditions: [{ type: 'NetworkReady', status: false, reason: 'No', message: 'none' }] },
      /^fail: NetworkReady.*→ See the result of the check cni/,
    ],
    [
      'no second problem if the check cni reports the network',
      {
        conditions: [{ type: 'NetworkReady', status: false, reason: 'No', message: 'none' }],
        isCniBroken: true,
      },
      /^ok: .*NetworkReady is false \(see cni\), mode 0660 → $/,
    ],
    [
      'a reason for concern while the runtime is ready',
      {
        conditions: [{ type: 'RuntimeReady', status: true, reason: 'DockerInfoHangs', message: 'since 9 s' }],
      },
      /^warn: RuntimeReady, but DockerInfoHangs: since 9 s/,
    ],
  ])('reports %s', (_desc, more, text) => expect(judged(more)).toEqual([expect.stringMatching(text)]));
});

describe('the check of cri-dockerd', () => {
  const theirs: NodeProcess = { name: 'cri-dockerd', pid: 9, args: [] };
  it.each<[string, Partial<CriDockerdFacts>, RegExp]>([
    ['that neither runs nor is enabled', {}, /^ok: /],
    [
      'running next to dockbridge',
      { running: [theirs] },
      /^fail: .*process 9.*with the same socket.*→ systemctl disable --now/,
    ],
    [
      'running next to dockbridge on another socket',
      { running: [{ ...theirs, args: ['--container-runtime-endpoint=unix:///x'] }] },
      /^fail: .*beside dockbridge: /,
    ],
    [
      'running in place of dockbridge',
      { running: [theirs], dockbridgeRuns: false },
      /^warn: .*→ Run dockbridge switch check/,
    ],
    [
      'that starts at the next boot',
      { enabled: ['/x/cri-docker.socket'] },
      /^warn: .*next boot: \/x\/cri-docker.socket → systemctl disable/,
    ],
  ])('reports a cri-dockerd %s', (_desc, more, text) => {
    const facts = {
      running: [],
      dockbridgeRuns: true,
      endpoint: 'unix:///run/cri-dockerd.sock',
      enabled: [],
      ...more,
    };
    expect(told(judgeCriDockerd(facts))).toEqual([expect.stringMatching(text)]);
  });
});

describe("cri-dockerd's units", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'dockbridge-doctor-'));
    await mkdir(join(directory, 'multi-user.target.wants'));
    await mkdir(join(directory, '7'));
  });
  afterEach(() => rm(directory, { recursive: true }));
  const enable = async (unit: string, text: string): Promise<string> => {
    const link = join(directory, 'multi-user.target.wants', unit);
    await writeFile(link, text);
    return link;
  };

  it("are found if they are enabled, but dockbridge's units are not", async () => {
    const link = await enable('cri-docker.service', 'ExecStart=/usr/bin/cri-dockerd');
    expect(await enabledUnits(directory, '')).toEqual([link]);
    expect(await enabledUnits(directory, 'dockbridge')).toEqual([link]);
    // First a drop-in of this unit starts dockbridge, then the unit itself is dockbridge's.
    expect(await enabledUnits(directory, 'cri-docker')).toEqual([]);
    await enable('cri-docker.service', 'Description=dockbridge in its place');
    expect(await enabledUnits(directory, '')).toEqual([]);
  });

  it.each([
    ['1:name=systemd:/system.slice/cri-docker.service\n0::/\n', 'cri-docker'],
    ['0::/system.slice/dockbridge.service\n', 'dockbridge'],
    ['0::/user.slice/user-0.slice/session-1.scope\n', ''],
  ])(
    'are distinguished by the control group of a process: %j belongs to the unit "%s"',
    async (text, unit) => {
      await writeFile(join(directory, '7/cgroup'), text);
      expect(await unitOf(7, directory)).toBe(unit);
      expect(await unitOf(8, directory)).toBe('');
    },
  );
});

describe('the check of CNI', () => {
  const plugins = [{ type: 'bridge' }, { type: 'portmap', capabilities: { portMappings: true } }];
  const config = parseNetworkList(JSON.stringify({ cniVersion: '1.0.0', name: 'net', plugins }));
  const bare = parseNetworkList(
    JSON.stringify({ cniVersion: '1.0.0', name: 'net', plugins: [{ type: 'bridge' }] }),
  );
  const found = { config, file: '/c/10.conflist', problems: [] };
  const nothing = { config: undefined, file: '', problems: [] };

  it.each<[string, Partial<CniFacts>, RegExp]>([
    [
      'a network whose plugins are all installed',
      {},
      /^ok: network "net" \(CNI 1.0.0\) of \/c\/10.conflist: bridge, portmap/,
    ],
    ['a configuration that does not use CNI', { choice: 'no-op', found: nothing }, /^ok: .*bridge/],
    [
      'a missing plugin',
      { missing: [{ type: 'bridge', text: 'plugin "bridge" is not installed', isInDebians: false }] },
      /^fail: plugin "bridge" is not installed → Put the plugin into \/b/,
    ],
    [
      "plugins in Debian's directory",
      { missing: ['bridge', 'portmap'].map((type) => ({ type, text: 'no', isInDebians: true })) },
      /^fail: CNI plugins "bridge", "portmap" are not in \/b .*they are in \/usr\/lib\/cni → Set cni-bin-dir: \[\/b, \/usr\/lib\/cni\]/,
    ],
    [
      'a missing configuration',
      { choice: 'cni', found: nothing },
      /^fail: there is no CNI configuration in \/c.*→ Install/,
    ],
    ['plugins without a configuration', { found: nothing }, /^fail: there is no CNI configuration/],
    [
      'a node without CNI',
      { found: nothing, hasPlugins: false },
      /^warn: there is no CNI here.*→ Install.*--network-plugin=no-op/,
    ],
    [
      'a broken file',
      { found: { ...nothing, problems: ['/c/1: no "name"'] } },
      /^fail: no valid.*\/c\/1: no "name".*→ Fix/,
    ],
    [
      'an ignored file',
      { found: { ...found, problems: ['/c/1: no "name"'] } },
      /^warn: file ignored: \/c\/1.*→ .*10.conflist is used/,
    ],
    [
      'a network that publishes no host ports',
      { found: { ...found, config: bare } },
      /^warn: .*"portMappings".*→ Add the portmap plugin/,
    ],
  ])('reports %s', (_desc, more, text) => {
    const facts = {
      choice: 'auto',
      confDir: '/c',
      binDirs: ['/b'],
      found,
      hasPlugins: true,
      missing: [],
      ...more,
    };
    expect(told(judgeCni(facts))).toEqual([expect.stringMatching(text)]);
  });

  it('names each missing plugin, and says which of them Debian installs elsewhere', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'doctor-'));
    try {
      await writeFile(join(directory, 'bridge'), '', { mode: 0o755 });
      expect(await missingPlugins(config, [join(directory, 'none')], directory)).toEqual([
        {
          type: 'bridge',
          text: expect.stringContaining('"bridge" is not installed') as string,
          isInDebians: true,
        },
        { type: 'portmap', text: expect.stringContaining('"portmap" is not') as string, isInDebians: false },
      ]);
      expect(await missingPlugins(bare, [directory], directory)).toEqual([]);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

describe('the report about a trial pod', () => {
  const judged = (step?: string, kubeletRuns = false): string[] => {
    const failure = step === undefined ? undefined : { step, message: 'no' };
    return told(judgePod({ image: 'busybox', failure, times: [['RunPodSandbox', 1234]], kubeletRuns }));
  };
  it('says that the pod ran, and how long its steps took', () =>
    expect(judged()).toEqual(['ok: a pod with two containers ran and was removed: RunPodSandbox 1.2 s → ']));
  it('names the step that failed', () =>
    expect(judged('RunPodSandbox')).toEqual([
      expect.stringMatching(/^fail: RunPodSandbox failed: no → See the other lines/),
    ]));
  it('mentions that kubelet may have caused the failure', () =>
    expect(judged('ExecSync', true)[0]).toMatch(/kubelet ends pods/));
  it('advises how to get an image that cannot be pulled', () =>
    expect(judged('image')).toEqual([
      expect.stringMatching(/^fail: image failed: no → Pull busybox by hand, or set --image/),
    ]));
});

describe('the check of the node', () => {
  it('names a missing program', () => {
    expect(told(judgePrograms(['tar', 'nsenter'], []))).toEqual(['ok: tar, nsenter → ']);
    expect(told(judgePrograms(['tar', 'nsenter'], ['tar', 'nsenter']))).toEqual([
      'fail: nsenter is missing: port-forward needs it → apt install util-linux, or the package with this program in your distribution.',
      'warn: tar is missing: CheckpointContainer needs it → apt install tar, or the package with this program in your distribution.',
    ]);
  });

  it.each([
    [{ pid: 7, limit: 1_048_576, open: 90 }, /^ok: process 7 may open 1048576 files, and has 90 open/],
    [{ pid: 7, limit: 1024, open: 90 }, /^warn: process 7 may open 1024 files.*→ Set LimitNOFILE/],
    [{ pid: 7, limit: 1000, open: 950 }, /^fail: process 7 has 950 of 1000 files open.*→ Set LimitNOFILE/],
    [
      { pid: undefined, limit: Infinity, open: 20 },
      /^ok: no dockbridge is running; started from this shell, it may open any number of files/,
    ],
  ])('reports open files: %j', (given, text) =>
    expect(told(judgeOpenFiles(given))).toEqual([expect.stringMatching(text)]),
  );

  it.each([
    [{ instances: 128, watches: 8192, refused: '' }, /^ok: /],
    [{ instances: undefined, watches: undefined, refused: '' }, /^ok: /],
    [{ instances: 16, watches: 65536, refused: '' }, /^warn: .*max_user_instances 16.*→ In \/etc\/sysctl.d/],
    [{ instances: 128, watches: 100, refused: '' }, /^warn: .*max_user_watches 100/],
    [{ instances: 128, watches: 8192, refused: 'EMFILE' }, /^fail: .*EMFILE.*→ In \/etc\/sysctl.d/],
  ])('reports inotify limits: %j', (given, text) =>
    expect(told(judgeInotify(given))).toEqual([expect.stringMatching(text)]),
  );

  it.each<[Partial<DiskFacts>, RegExp]>([
    [{}, /^ok: \/d 50 % free/],
    [{ freePercent: 12 }, /^warn: \/d: 12 %.*evict pods soon → docker system df/],
    [{ freePercent: 3 }, /^fail: \/d: 3 %.*pods fail to start/],
    [{ freeInodesPercent: 8 }, /^warn: \/d.*8 % of the inodes/],
    [{ freeInodesPercent: 1 }, /^fail: \/d.*1 % of the inodes/],
    [{ problem: 'took longer' }, /^fail: \/d cannot be examined: took longer → Is its disk mounted/],
  ])('reports a disk: %j', (more, text) => {
    const disk = {
      path: '/d',
      problem: '',
      freeBytes: 2 ** 30,
      freePercent: 50,
      freeInodesPercent: 60,
      ...more,
    };
    expect(told(judgeDisks([disk]))).toEqual([expect.stringMatching(text)]);
  });

  it('warns if the doctor does not run as root', () => {
    expect(judgeRights(0).level).toBe('ok');
    expect(told(judgeRights(1000))).toEqual([expect.stringMatching(/^warn: .*user 1000.*→ Run it as root/)]);
  });
});
