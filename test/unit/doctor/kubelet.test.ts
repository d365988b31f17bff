import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { judgeDriver, judgeEndpoint, judgeStats, STATS_SNIPPET } from '../../../src/doctor/checks/kubelet';
import {
  effectiveKubelet,
  parseKubeletConfig,
  readKubelet,
  type KubeletConfig,
  type KubeletFacts,
} from '../../../src/doctor/kubelet-facts';
import type { NodeProcess } from '../../../src/node/process/node-processes';

const HEAD = 'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n';
const ENDPOINT = 'unix:///var/run/cri-dockerd.sock';
const GATE = 'PodAndContainerStatsFromCRI';
const FILE = '/var/lib/kubelet/config.yaml';

const config = (more: Partial<KubeletConfig> = {}): KubeletConfig => ({
  ...{ featureGates: {}, containerRuntimeEndpoint: '', cgroupDriver: '' },
  ...more,
});
const facts = (more: Partial<KubeletFacts> = {}): KubeletFacts => ({
  ...{ from: `process 7, ${FILE}`, isRunning: true, args: [], file: FILE, problems: [] },
  configs: [config()],
  ...more,
});
const none: KubeletFacts = facts({ from: '', isRunning: false, configs: [] });

describe('a kubelet configuration', () => {
  it('is read for the settings of its runtime', () => {
    const text = `${HEAD}featureGates:\n  ${GATE}: true\n  Other: no\ncgroupDriver: systemd\ncontainerRuntimeEndpoint: ${ENDPOINT}\n`;
    expect(parseKubeletConfig(text)).toEqual({
      featureGates: { [GATE]: true, Other: false },
      containerRuntimeEndpoint: ENDPOINT,
      cgroupDriver: 'systemd',
    });
  });

  it('may be JSON, and may be empty', () =>
    expect(parseKubeletConfig('{"kind": "KubeletConfiguration", "featureGates": null}')).toEqual(config()));

  it.each([
    ['', 'is not a KubeletConfiguration'],
    ['a: [', /./],
    ['kind: ClusterConfiguration\n', '"kind" is not KubeletConfiguration'],
    [`${HEAD}featureGates:\n  X: "true"\n`, '"featureGates.X" is neither true nor false'],
    [`${HEAD}featureGates: []\n`, '"featureGates" is not a map'],
    [`${HEAD}cgroupDriver: 7\n`, '"cgroupDriver" is not text'],
  ])('is refused: %j', (text, why) => expect(() => parseKubeletConfig(text)).toThrow(why));

  it('is refused without showing its secrets', () =>
    expect(() => parseKubeletConfig(`${HEAD}secret: hunter2\n a: : b\n`)).toThrow(/^(?!.*hunter2)/s));

  it('is overridden by later files and the command line, each gate separately', () => {
    const { gates, endpoint, cgroupDriver } = effectiveKubelet({
      args: ['--feature-gates=A=true,B=false', '--feature-gates', 'C=T', '--cgroup-driver=systemd'],
      configs: [
        config({
          featureGates: { A: false, D: true },
          containerRuntimeEndpoint: 'unix:///a',
          cgroupDriver: 'cgroupfs',
        }),
        config({ featureGates: { D: false }, containerRuntimeEndpoint: 'unix:///b' }),
      ],
    });
    expect(Object.fromEntries(gates)).toEqual({ A: true, B: false, C: true, D: false });
    expect([endpoint, cgroupDriver]).toEqual(['unix:///b', 'systemd']);
  });
});

describe("kubelet's stats", () => {
  it.each<[string, Partial<KubeletFacts>]>([
    ['its file', { configs: [config({ featureGates: { [GATE]: true } })] }],
    [
      'a drop-in',
      { configs: [config({ featureGates: { [GATE]: false } }), config({ featureGates: { [GATE]: true } })] },
    ],
    ['its command line', { args: [`--feature-gates=${GATE}=true`] }],
    ['all alpha gates', { configs: [config({ featureGates: { AllAlpha: true } })] }],
  ])('work if the gate is switched on by %s', (_by, more) =>
    expect(judgeStats(facts(more)).level).toBe('ok'),
  );

  it.each<[string, KubeletFacts, string]>([
    ['if the gate is off by default', facts(), 'KUBELET'],
    [
      'if a file switches the gate off',
      facts({ configs: [config({ featureGates: { [GATE]: false } })] }),
      'KUBELET',
    ],
    [
      'if this gate is off although all alpha gates are on',
      facts({ configs: [config({ featureGates: { AllAlpha: true, [GATE]: false } })] }),
      'KUBELET',
    ],
    ['if no kubelet runs', none, 'no kubelet is running here'],
  ])('cause a warning with a snippet %s', (_by, given, words) => {
    const { level, found, cure } = judgeStats(given);
    expect([level, found]).toEqual(['warn', expect.stringContaining(words)]);
    expect(cure).toContain(`In ${FILE}:\n${STATS_SNIPPET}\n`);
    expect(cure).toContain('systemctl restart kubelet');
  });

  it('cause a warning that names the missing data', () =>
    expect(judgeStats(facts()).found).toMatch(
      /pod network, process counts and container labels.*\/metrics\/cadvisor/,
    ));

  it('that the command line switches off must be switched on there', () => {
    const given = facts({
      args: [`--feature-gates=${GATE}=false`],
      configs: [config({ featureGates: { [GATE]: true } })],
    });
    const { found, cure } = judgeStats(given);
    expect(found).toContain('--feature-gates on its command line switches off');
    expect(cure).toContain(`Remove ${GATE}=false`);
  });

  it("are unknown when kubelet's file cannot be read", () => {
    const { level, found } = judgeStats(facts({ configs: [], problems: [`${FILE}: not a regular file`] }));
    expect([level, found]).toEqual(['fail', expect.stringContaining('not a regular file')]);
  });
});

describe("kubelet's endpoint", () => {
  const judged = (given: KubeletFacts, endpoint = ENDPOINT) => judgeEndpoint(given, endpoint);

  it('may be another name of the same socket', () => {
    const given = facts({ args: ['--container-runtime-endpoint=/run/cri-dockerd.sock'] });
    expect(judged(given).level).toBe('ok');
  });

  it.each<[string, KubeletFacts, string, RegExp]>([
    [
      'another socket',
      facts({ args: ['--container-runtime-endpoint', 'unix:///run/x.sock'] }),
      'fail',
      /uses unix:\/\/\/run\/x.sock/,
    ],
    [
      'another socket in its file',
      facts({ configs: [config({ containerRuntimeEndpoint: 'unix:///run/y' })] }),
      'fail',
      /run\/y/,
    ],
    ['dockershim', facts({ args: ['--container-runtime=docker'] }), 'fail', /built-in dockershim/],
    ['no endpoint of a running kubelet', facts(), 'fail', /containerd's/],
    [
      'no endpoint in the files of a kubelet that does not run',
      facts({ isRunning: false }),
      'warn',
      /names no runtime endpoint/,
    ],
    ['no kubelet', none, 'ok', /no kubelet was found \(see kubelet-stats\)/],
    [
      'a file that cannot be read',
      facts({ configs: [], problems: ['/x: gone'] }),
      'warn',
      /not checked: \/x: gone/,
    ],
  ])('is reported: %s', (_desc, given, level, found) => {
    const finding = judged(given);
    expect([finding.level, finding.found]).toEqual([level, expect.stringMatching(found)]);
    expect(finding.cure).toMatch(new RegExp(`--container-runtime-endpoint=${ENDPOINT}|Fix the file`));
  });

  it('cannot be compared with a socket of systemd', () => {
    const given = facts({ args: ['--container-runtime-endpoint=unix:///run/a'] });
    expect(judged(given, 'fd://')).toMatchObject({
      level: 'warn',
      cure: expect.stringContaining('ListenStream=') as string,
    });
  });
});

describe('the cgroup driver', () => {
  it.each<[string, KubeletFacts, string, string]>([
    ['the same driver', facts({ configs: [config({ cgroupDriver: 'systemd' })] }), 'systemd', 'ok'],
    ["kubelet's default, which is the same", facts(), 'cgroupfs', 'ok'],
    [
      'another driver in the file',
      facts({ configs: [config({ cgroupDriver: 'systemd' })] }),
      'cgroupfs',
      'fail',
    ],
    ['another driver in a flag', facts({ args: ['--cgroup-driver=cgroupfs'] }), 'systemd', 'fail'],
    ['another default', facts(), 'systemd', 'warn'],
    [
      'another default of a kubelet that does not ask the runtime for its driver',
      facts({ configs: [config({ featureGates: { KubeletCgroupDriverFromCRI: false } })] }),
      'systemd',
      'fail',
    ],
    ['no driver, because no kubelet is known', none, 'systemd', 'ok'],
  ])('of the Engine is compared with %s', (_desc, given, driver, level) => {
    const finding = judgeDriver(given, driver);
    expect(finding.level).toBe(level);
    if (level !== 'ok') expect(finding.cure).toContain(`cgroupDriver: ${driver}`);
  });

  it('of a node without kubelet is reported, with the setting that kubelet will need', () =>
    expect(judgeDriver(none, 'cgroupfs')).toMatchObject({
      found: 'the Engine uses cgroupfs; no kubelet was found to compare it with (see kubelet-stats)',
      cure: expect.stringMatching(/^Set "cgroupDriver: cgroupfs" in \S+\.$/) as string,
    }));
});

describe('the kubelet of a node', () => {
  let root: string;
  beforeEach(async () => (root = await mkdtemp(join(tmpdir(), 'doctor-'))));
  afterEach(() => rm(root, { recursive: true }));

  const put = async (path: string, text: string): Promise<void> => {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  };
  const running = (...args: string[]): NodeProcess => ({ name: 'kubelet', pid: 7, args });
  const read = (...processes: NodeProcess[]) => readKubelet({ processes, root, proc: join(root, 'proc') });

  it('that runs is read as its command line says, from the files that it sees, with its drop-ins in order', async () => {
    await put('proc/7/root/etc/k.yaml', `${HEAD}cgroupDriver: systemd\nfeatureGates: {${GATE}: false}\n`);
    await put('proc/7/root/etc/k.d/20-b.conf', `${HEAD}featureGates: {${GATE}: true}\n`);
    await put('proc/7/root/etc/k.d/10-a.conf', `${HEAD}featureGates: {${GATE}: false}\n`);
    await put('proc/7/root/etc/k.d/30-c.yaml', 'this is not read');
    const found = await read(running('--config=/etc/k.yaml', '--config-dir', '/etc/k.d'));
    expect(found).toMatchObject({ from: 'process 7, /etc/k.yaml', isRunning: true, problems: [] });
    expect(effectiveKubelet(found)).toMatchObject({
      cgroupDriver: 'systemd',
      gates: new Map([[GATE, true]]),
    });
  });

  it('that was given a relative path is read from its working directory', async () => {
    await put('where/k.yaml', `${HEAD}cgroupDriver: systemd\n`);
    await mkdir(join(root, 'proc/7'), { recursive: true });
    await symlink(join(root, 'where'), join(root, 'proc/7/cwd'));
    expect((await read(running('--config', 'k.yaml'))).configs).toEqual([
      config({ cgroupDriver: 'systemd' }),
    ]);
  });

  it('that runs with a missing file has a problem', async () =>
    expect((await read(running('--config=/etc/k.yaml'))).problems).toEqual([
      expect.stringMatching(/^\/etc\/k.yaml: .*ENOENT/),
    ]));

  it('that runs without a file has its command line', async () =>
    expect(await read(running('--cgroup-driver=systemd'))).toMatchObject({
      from: 'process 7',
      configs: [],
      problems: [],
    }));

  it("that does not run is found by kubeadm's files", async () => {
    await put('var/lib/kubelet/config.yaml', `${HEAD}cgroupDriver: systemd\n`);
    await put(
      'var/lib/kubelet/kubeadm-flags.env',
      `KUBELET_KUBEADM_ARGS="--container-runtime-endpoint=${ENDPOINT} --x=y"\n`,
    );
    await put('etc/default/kubelet', `# flags\nKUBELET_EXTRA_ARGS=--feature-gates=${GATE}=true\n`);
    const found = await read();
    expect(found.from).toBe(
      '/var/lib/kubelet/config.yaml, /var/lib/kubelet/kubeadm-flags.env, /etc/default/kubelet',
    );
    expect(effectiveKubelet(found)).toEqual({
      ...{ endpoint: ENDPOINT, cgroupDriver: 'systemd' },
      gates: new Map([[GATE, true]]),
    });
  });

  it('is missing where there are no signs of one', async () =>
    expect(await read()).toMatchObject({ from: '', isRunning: false, configs: [], problems: [] }));

  it('is the one whose file was named, whichever kubelet runs', async () => {
    await put('mine.yaml', `${HEAD}cgroupDriver: systemd\n`);
    const path = join(root, 'mine.yaml');
    const found = await readKubelet({ processes: [running('--cgroup-driver=cgroupfs')], config: path });
    expect(found).toMatchObject({
      from: path,
      isRunning: false,
      args: [],
      configs: [config({ cgroupDriver: 'systemd' })],
    });
  });

  it('whose named file is missing has a problem', async () =>
    expect((await readKubelet({ processes: [], config: join(root, 'none') })).problems).toHaveLength(1));
});
