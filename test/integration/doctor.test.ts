import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CHECKS } from '../../src/doctor/checks';
import { STATS_SNIPPET } from '../../src/doctor/checks/kubelet';
import type { DoctorReport, Line } from '../../src/doctor/report';
import { ChildDaemon } from './support/child-daemon';
import { CniNode } from './support/cni-node';
import { Command } from './support/command';
import {
  engineGet,
  engineLeftovers,
  sharedDockerHost,
  startPrivateEngine,
  TEST_IMAGE,
} from './support/engine';
import { EngineProxy } from './support/engine-proxy';
import { snapshotOf } from './support/snapshot';

const run = promisify(execFile);

jest.setTimeout(300_000);

/** The checks whose findings depend on the test machine. */
const MACHINES = ['crictl', 'disk', 'inotify', 'open-files'];
const GATES = 'featureGates:\n  PodAndContainerStatsFromCRI: true\n';

let directory: string;
let node: CniNode;

beforeEach(async () => {
  node = await CniNode.create();
  await node.configure(node.network(['10.97.0.0/24']));
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-doctor-'));
});
afterEach(async () => {
  await node.destroy();
  await rm(directory, { recursive: true, force: true });
});

/** @returns the path of a kubelet configuration file. */
async function kubeletConfig(driver: string, endpoint: string, more = GATES): Promise<string> {
  const path = join(directory, 'kubelet.yaml');
  const head = 'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n';
  await writeFile(path, `${head}cgroupDriver: ${driver}\ncontainerRuntimeEndpoint: ${endpoint}\n${more}`);
  return path;
}

async function driverOf(dockerHost: string): Promise<string> {
  return ((await engineGet(dockerHost, '/info')) as { CgroupDriver: string }).CgroupDriver;
}

/** Returns the endpoint of a socket on which nobody listens. */
const endpoint = (): string => `unix://${join(directory, 'none.sock')}`;

interface Examined {
  readonly code: number | null;
  readonly report: DoctorReport;
  readonly of: (check: string) => readonly Line[];
}

async function examine(...args: string[]): Promise<Examined> {
  // On a busy machine, an answer takes a long time.
  const command = new Command(['doctor', '-o', 'json', '--timeout', '40s', ...args]);
  const code = await command.exit();
  expect(command.stderr).toBe('');
  const report = JSON.parse(command.stdout) as DoctorReport;
  return { code, report, of: (check) => report.checks.filter((line) => line.check === check) };
}

/** Examines a node on which no dockbridge runs. */
const examineBare = async (...args: string[]): Promise<Examined> =>
  examine(
    ...['--container-runtime-endpoint', endpoint(), '--docker-endpoint', sharedDockerHost()],
    ...[...node.arguments, '--state-dir', join(directory, 'state'), ...args],
  );

const line = (level: string, found: RegExp, cure: RegExp): object => ({
  level,
  found: expect.stringMatching(found) as string,
  cure: expect.stringMatching(cure) as string,
});

it('the doctor reports a healthy node, with the options of the running daemon, and changes nothing', async () => {
  const engine = await startPrivateEngine('doctor', { config: { 'live-restore': true }, images: false });
  try {
    const daemon = await ChildDaemon.start(node.arguments, engine.dockerHost);
    try {
      const kubelet = await kubeletConfig(await driverOf(engine.dockerHost), daemon.endpoint);
      const given = ['--container-runtime-endpoint', daemon.endpoint, '--kubelet-config', kubelet];
      const before = await snapshotOf(node, engine.dockerHost, [node.confDir, node.cacheDir, kubelet]);
      const { code, report, of } = await examine(...given);
      expect([...new Set(report.checks.map(({ check }) => check))]).toEqual(CHECKS.map(({ id }) => id));
      const odd = report.checks.filter(({ check, level }) => level !== 'ok' && !MACHINES.includes(check));
      expect(odd).toEqual([]);
      expect(code).toBe(report.summary.fail > 0 ? 2 : report.summary.warn > 0 ? 1 : 0);
      expect(of('engine')[0]?.found).toContain(engine.dockerHost);
      expect(of('cni')[0]?.found).toMatch(/"test-net".*bridge, portmap/);
      expect(of('open-files')[0]?.found).toContain(`process ${daemon.pid}`);
      expect(await snapshotOf(node, engine.dockerHost, [node.confDir, node.cacheDir, kubelet])).toEqual(
        before,
      );

      await chmod(daemon.endpoint.slice('unix://'.length), 0o666);
      const { code: open, of: after } = await examine(...given);
      expect(after('cri-socket')).toEqual([
        expect.objectContaining(line('fail', /mode 0666/, /^chmod 0660/)),
      ]);
      expect(open).toBe(2);
    } finally {
      await daemon.stop();
    }
  } finally {
    await engine.destroy();
  }
});

it('the doctor writes a bundle without secrets that only its owner can read, and overwrites none', async () => {
  const daemon = await ChildDaemon.start(node.arguments);
  try {
    await node.configure({ ...node.network(['10.97.0.0/24']), token: 'planted-1' }, '99-other.conflist');
    const more = `${GATES}staticPodURLHeader:\n  X-Any: [planted-2]\n`;
    const kubelet = await kubeletConfig('cgroupfs', daemon.endpoint, more);
    const file = join(directory, 'bundle.tar.gz');
    const args = [
      ...['doctor', '--timeout', '40s', '--container-runtime-endpoint', daemon.endpoint],
      ...['--kubelet-config', kubelet, '--bundle', file],
    ];
    const first = new Command(args);
    expect(await first.exit()).not.toBeNull();
    expect(first.stderr).toMatch(/^\S+bundle\.tar\.gz has \d+ files in \d+ KiB/);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const { stdout: all } = await run('tar', ['-xzOf', file], { maxBuffer: 64 << 20 });
    expect(all).not.toMatch(/planted-\d/);
    for (const part of [
      ...['dockbridge_engine_up 1', '"calls"', '"Driver"', '"test-net"', `"pid": ${daemon.pid}`],
      ...['"source": "flag"', 'healthz passed', '"staticPodURLHeader": "[removed]"'],
    ])
      expect(all).toContain(part);
    const second = new Command(args);
    expect(await second.exit()).toBe(2);
    expect(second.stderr).toMatch(/^dockbridge doctor: .*exists already/);
  } finally {
    await daemon.stop();
  }
});

it('the doctor runs a pod on request, names the step that fails, and leaves nothing behind', async () => {
  const daemon = await ChildDaemon.start(node.arguments);
  try {
    const given = ['--container-runtime-endpoint', daemon.endpoint, '--pod', '--image', TEST_IMAGE];
    const tried = await examine(...given);
    expect(tried.of('pod')).toEqual([
      expect.objectContaining({
        level: 'ok',
        found: expect.stringMatching(/RunPodSandbox .*ExecSync/) as string,
      }),
    ]);
    await rm(join(node.binDir, 'host-local'));
    const refused = await examine(...given);
    expect(refused.of('pod')).toEqual([
      expect.objectContaining(
        line('fail', /^RunPodSandbox failed: .*host-local/, /cri-socket, engine and cni/),
      ),
    ]);
    expect(await engineLeftovers(sharedDockerHost())).toEqual([]);
  } finally {
    await daemon.stop();
  }
});

it('the doctor reports incomplete stats, another cgroup driver, another socket, and a missing daemon', async () => {
  const engine = await EngineProxy.start(sharedDockerHost());
  try {
    const driver = await driverOf(sharedDockerHost());
    const other = driver === 'systemd' ? 'cgroupfs' : 'systemd';
    const kubelet = await kubeletConfig(other, 'unix:///run/containerd/containerd.sock', '');
    const given = ['--kubelet-config', kubelet, '--docker-endpoint', engine.dockerHost];
    const { code, of } = await examineBare(...given);
    expect(of('kubelet-stats')).toEqual([
      expect.objectContaining(
        line('warn', /pod network, process counts and container labels/, /systemctl restart kubelet/),
      ),
    ]);
    expect(of('kubelet-stats')[0]?.cure).toContain(`In ${kubelet}:\n${STATS_SNIPPET}\n`);
    expect(of('cgroup-driver')).toEqual([
      expect.objectContaining(
        line(
          'fail',
          new RegExp(`cgroup driver ${other}.*the Engine uses ${driver}`),
          new RegExp(`cgroupDriver: ${driver}`),
        ),
      ),
    ]);
    expect(of('kubelet-endpoint')).toEqual([
      expect.objectContaining(
        line('fail', /kubelet uses unix:\/\/\/run\/containerd/, new RegExp(`=${endpoint()}`)),
      ),
    ]);
    expect(of('cri-socket')).toEqual([
      expect.objectContaining(line('fail', /nothing listens/, /systemctl start dockbridge/)),
    ]);
    expect(code).toBe(2);
    expect(new Set(engine.calls.map(({ method }) => method))).toEqual(new Set(['GET']));
  } finally {
    await engine.stop();
  }
});

it('the doctor shows the remedy and its snippet below a warning', async () => {
  const kubelet = await kubeletConfig('cgroupfs', endpoint(), '');
  const command = new Command([
    'doctor',
    '--timeout',
    '40s',
    '--container-runtime-endpoint',
    endpoint(),
    '--kubelet-config',
    kubelet,
  ]);
  expect(await command.exit()).toBe(2);
  expect(command.stdout).toMatch(/^warn {2}kubelet-stats +KUBELET'S STATS ARE INCOMPLETE/m);
  const shown = command.stdout.split('\n').map((text) => text.trim());
  expect(shown).toEqual(expect.arrayContaining(STATS_SNIPPET.split('\n').map((text) => text.trim())));
  expect(command.stdout).toMatch(/docs\/troubleshooting\.md#kubelet-stats/);
});

it("the doctor finds the running kubelet's configuration through its command line and its drop-ins", async () => {
  const file = await kubeletConfig('systemd', 'unix:///run/elsewhere.sock', '');
  const dropIns = join(directory, 'kubelet.d');
  await mkdir(dropIns);
  await writeFile(join(dropIns, '10-stats.conf'), STATS_SNIPPET);
  const args = [`--config=${file}`, '--config-dir', dropIns, '--container-runtime-endpoint', endpoint()];
  // A process that waits for input stands for a kubelet.
  const kubelet = spawn('sh', ['-c', 'read line', 'kubelet', ...args], { argv0: 'kubelet' });
  const gone = once(kubelet, 'exit');
  try {
    await once(kubelet, 'spawn');
    const { of } = await examineBare();
    const from = `process ${kubelet.pid}, ${file}`;
    for (const check of ['kubelet-stats', 'kubelet-endpoint'])
      expect(of(check)).toEqual([
        expect.objectContaining({ level: 'ok', found: expect.stringContaining(from) as string }),
      ]);
  } finally {
    kubelet.kill();
    await gone;
  }
});

it('the doctor names a missing plugin, and an ignored file', async () => {
  await rm(join(node.binDir, 'host-local'));
  await node.configure({ cniVersion: '1.0.0', name: 'broken' }, '00-broken.conflist');
  const { code, of } = await examineBare();
  expect(of('cni')).toEqual([
    expect.objectContaining(
      // The plugin is in the directory from which these tests take their plugins.
      line(
        'fail',
        /plugin "host-local" is not in .*it is in \/usr\/lib\/cni/,
        /Set cni-bin-dir: \[.*\/usr\/lib\/cni\]/,
      ),
    ),
    expect.objectContaining(
      line('warn', /00-broken\.conflist: "plugins" is empty/, /10-test\.conflist is used/),
    ),
  ]);
  expect(code).toBe(2);
});

it('the doctor says that there is no network configuration', async () => {
  await rm(join(node.confDir, '10-test.conflist'));
  const { of } = await examineBare();
  expect(of('cni')).toEqual([
    expect.objectContaining(line('fail', new RegExp(`no CNI configuration in ${node.confDir}`), /^Install/)),
  ]);
});

it('the doctor reports a dead Engine in one line, and names the checks that it prevents', async () => {
  const { code, of } = await examineBare('--docker-endpoint', `unix://${directory}/docker.sock`);
  expect(of('engine')).toEqual([
    expect.objectContaining(line('fail', /is dockerd running/, /systemctl status docker/)),
  ]);
  for (const check of ['live-restore', 'pause-image', 'clock'])
    expect(of(check)).toEqual([
      expect.objectContaining(line('warn', /^not checked: .*is dockerd running/, /./)),
    ]);
  // daemon.json is still checked, because it may be the reason why dockerd does not start.
  expect(of('daemon-json')).not.toEqual([
    expect.objectContaining({ found: expect.stringContaining('not checked') as string }),
  ]);
  expect(code).toBe(2);
});

it('the doctor ends within its time limit if the Engine never answers', async () => {
  const silent = createServer();
  silent.listen(join(directory, 'silent.sock'));
  await once(silent, 'listening');
  try {
    const silence = ['--docker-endpoint', `unix://${directory}/silent.sock`, '--timeout', '30s'];
    const { code, of } = await examineBare(...silence);
    expect(of('engine')).toEqual([
      expect.objectContaining(
        line('fail', /GET \/version took longer than 27000 ms/, /systemctl status docker/),
      ),
    ]);
    expect(code).toBe(2);
  } finally {
    silent.close();
  }
});

it('the doctor gives up on a file that never opens, reports the rest, and ends', async () => {
  // A pipe without a writer blocks its reader like a dead disk.
  await run('mkfifo', [join(node.confDir, '05-hangs.conf')]);
  const { code, of } = await examineBare('--timeout', '20s');
  expect(of('cni')).toEqual([
    expect.objectContaining(line('fail', /no answer within 20 s/, /dead network disks/)),
  ]);
  expect(of('engine')).toEqual([expect.objectContaining({ level: 'ok' })]);
  // The doctor ends itself by a signal, because nothing else ends a process with a blocked thread.
  expect(code).toBeNull();
});

it('the doctor reports a full disk with the name of the directory', async () => {
  const state = join(directory, 'state');
  await mkdir(state);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', state]);
  try {
    await writeFile(join(state, 'full'), Buffer.alloc(252 * 1024));
    const { code, of } = await examineBare();
    expect(of('disk')).toContainEqual(
      expect.objectContaining(line('fail', new RegExp(`^${state}: 1 %`), /crictl rmi --prune/)),
    );
    expect(code).toBe(2);
  } finally {
    await run('umount', [state]);
  }
});

it('the doctor refuses an invalid value of an option', async () => {
  const command = new Command(['doctor', '--cni-timeout', 'soon']);
  expect(await command.exit()).toBe(2);
  expect(command.stderr).toMatch(/^dockbridge doctor: --cni-timeout/);
});

it('the doctor explains its exit codes and options', async () => {
  const command = new Command(['doctor', '--help']);
  expect(await command.exit()).toBe(0);
  const text = command.stdout.replace(/\s+/g, ' ');
  expect(text).toMatch(/exit code 0: .*; 1: warnings; 2: .*does not work/i);
  for (const name of ['--output', '--kubelet-config', '--container-runtime-endpoint', '--docker-endpoint'])
    expect(text).toContain(name);
  expect(await readFile(join(__dirname, '../../README.md'), 'utf8')).toContain('dockbridge doctor');
});
