import { chmod, mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { InventoryReport } from '../../src/migrate/inventory/report';
import { Protocol } from '../../src/proto/enums';
import { Command } from './support/command';
import { TestDaemon } from './support/daemon';
import { engineCall, engineGet, startPrivateEngine, TEST_IMAGE, type PrivateEngine } from './support/engine';
import { EngineProxy } from './support/engine-proxy';
import { containerConfig, FOREVER, podConfig, runPod, startedContainer } from './support/pods';

let engine: PrivateEngine;
let test: TestDaemon;
let root: string;

/** True if the Engine under test keeps images in containerd, which Engine 29 does by default. */
const HAS_CONTAINERD_STORE = /^29$|-containerd$/.test(process.env.DOCKBRIDGE_TEST_ENGINE ?? '');

/** Everything that is a secret in the prepared node contains this word. */
const PLANTED = 'planted';

const FILES: Readonly<Record<string, string>> = {
  'etc/hostname': 'node-7\n',
  'etc/os-release': 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
  'etc/docker/daemon.json': JSON.stringify(
    {
      'registry-mirrors': [`https://me:${PLANTED}-1@mirror.example`],
      'insecure-registries': ['r.example:5000'],
      'default-ulimits': { nofile: { Name: 'nofile', Soft: 4096, Hard: 4096 } },
      'log-opts': { 'splunk-token': `${PLANTED}-2` },
      proxies: { 'http-proxy': `http://me:${PLANTED}-3@proxy.example:3128` },
      'made-up': true,
    },
    null,
    2,
  ),
  'etc/docker/certs.d/r.example:5000/client.key': `-----BEGIN PRIVATE KEY-----\n${PLANTED}-4\n-----END PRIVATE KEY-----\n`,
  'etc/docker/certs.d/r.example:5000/ca.crt': 'a certificate',
  'root/.docker/config.json': JSON.stringify({
    auths: { 'r.example': { auth: Buffer.from(`me:${PLANTED}-5`).toString('base64') } },
    credHelpers: { 'gcr.io': 'gcloud' },
  }),
  'etc/systemd/system/docker.service.d/proxy.conf': `[Service]\nEnvironment=HTTPS_PROXY=http://me:${PLANTED}-6@proxy.example:3128\nLimitNOFILE=1048576\n`,
  'etc/systemd/system/kubelet.service.d/10-docker.conf': '[Unit]\nRequires=docker.service\n',
  'etc/cni/net.d/10-pods.conflist': JSON.stringify({
    ...{ cniVersion: '1.0.0', name: 'pods' },
    plugins: [{ type: 'bridge', ipam: { type: 'host-local' } }],
  }),
  'opt/cni/bin/bridge': '',
  'opt/cni/bin/host-local': '',
  'opt/cni/bin/loopback': '',
  'var/lib/kubelet/kubeadm-flags.env':
    'KUBELET_KUBEADM_ARGS="--container-runtime=remote --container-runtime-endpoint=unix:///run/dockbridge/dockbridge.sock"\n',
  'var/lib/kubelet/config.yaml':
    'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\ncgroupDriver: cgroupfs\n',
  'etc/crictl.yaml': 'runtime-endpoint: unix:///run/dockbridge/dockbridge.sock\n',
  'etc/cron.daily/prune': `#!/bin/sh\ndocker login --password ${PLANTED}-7 r.example\n`,
  'etc/containerd/config.toml': 'disabled_plugins = ["cri"]\n',
  'etc/kubernetes/manifests/etcd.yaml': `# ${PLANTED}-8\n`,
};

beforeAll(async () => {
  engine = await startPrivateEngine('inventory');
  test = await TestDaemon.start({ dockerHost: engine.dockerHost, given: { 'network-plugin': 'no-op' } });
  root = await mkdtemp(join(tmpdir(), 'dockbridge-inventory-'));
  for (const [name, text] of Object.entries(FILES)) {
    await mkdir(join(root, dirname(name)), { recursive: true });
    await writeFile(join(root, name), text);
  }
  // An absolute link of the node leads to the node's own file.
  await mkdir(join(root, 'etc/sysctl.d'));
  await symlink('/etc/hostname', join(root, 'etc/sysctl.d/99-linked.conf'));
  await prepareEngine();
}, 240_000);

afterAll(async () => {
  await test.stop();
  await engine.destroy();
  await rm(root, { recursive: true, force: true });
}, 120_000);

/** Makes a foreign container, and two pods, one of which has the Engine's socket. No registry has their images. */
async function prepareEngine(): Promise<void> {
  const socket = engine.dockerHost.slice('unix://'.length);
  const ports = [{ protocol: Protocol.TCP, container_port: 80, host_port: 18080, host_ip: '' }];
  const web = await runPod(test, podConfig(test, { port_mappings: ports }));
  const agent = await runPod(test);
  await startedContainer(test, web, {
    ...containerConfig('main', FOREVER),
    envs: [{ key: 'TOKEN', value: Buffer.from(`${PLANTED}-9`) }],
    args: [`--password=${PLANTED}-10`],
    annotations: { secret: `${PLANTED}-11` },
  });
  const mounts = [{ host_path: socket, container_path: '/run/docker.sock', readonly: true }];
  await startedContainer(test, agent, { ...containerConfig('agent', FOREVER), mounts });
  await engineCall(engine.dockerHost, 'POST', '/containers/create?name=compose-db-1', {
    json: {
      Image: TEST_IMAGE,
      Env: [`POSTGRES_PASSWORD=${PLANTED}-12`],
      Labels: { 'com.docker.compose.project': 'shop', auth: `${PLANTED}-13` },
    },
  });
}

interface Taken {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function take(...args: string[]): Promise<Taken> {
  const command = new Command(['migrate', 'inventory', ...args]);
  const code = await command.exit();
  return { code, stdout: command.stdout, stderr: command.stderr };
}

const onNode = (...args: string[]): Promise<Taken> =>
  take('--root', root, '--docker-endpoint', engine.dockerHost, ...args);

async function reported(...args: string[]): Promise<InventoryReport> {
  const { stdout, stderr } = await onNode('-o', 'json', ...args);
  expect(stderr).toBe('');
  return JSON.parse(stdout) as InventoryReport;
}

it('the inventory finds what the Engine and the files of a node have, and its exit code shows the worst finding', async () => {
  const { findings, node, exitCode } = await reported();
  const found = findings.map(({ severity, id }) => `${severity} ${id}`);
  expect(found).toEqual(
    expect.arrayContaining([
      'block foreign',
      ...['change hostport', 'change docker-sock-pod', 'change setting-registry-mirrors'],
      ...[
        'change registry-certs',
        'change auth',
        'change proxy',
        // The containerd store does not tell which images were built here.
        HAS_CONTAINERD_STORE ? 'review local-image' : 'change local-image',
        'change kubelet-endpoint',
      ],
      ...['change kubelet-flags', 'change kubelet-unit', 'change crictl-conf', 'change containerd-cri-off'],
      ...[
        'change setting-default-ulimits',
        'review static-pods',
        'review host-scripts',
        'review setting-unknown',
      ],
      ...['review kubelet-annotation', 'ok no-cni', 'ok auth'],
    ]),
  );
  expect(exitCode).toBe(3);
  expect((await onNode()).code).toBe(3);
  expect(node).toMatchObject({ hostname: 'node-7', pods: 2, containers: 2, foreign: 1 });
  const foreign = findings.find(({ id }) => id === 'foreign');
  expect(foreign?.evidence).toEqual([
    { where: 'container compose-db-1', what: `created, image ${TEST_IMAGE}, compose project shop` },
  ]);
  const sock = findings.find(({ id }) => id === 'docker-sock-pod');
  expect(sock?.evidence.map(({ where }) => where)).toEqual([
    expect.stringMatching(/^container agent of pod test\/pod-/) as string,
  ]);
  const endpoint = findings.find(({ id }) => id === 'kubelet-endpoint');
  expect(endpoint?.evidence.map(({ where }) => where)).toEqual(['/var/lib/kubelet/kubeadm-flags.env:1']);
});

it('the inventory lets other containers stay with --keep-docker', async () => {
  const { findings, exitCode } = await reported('--keep-docker');
  expect(findings.find(({ id }) => id === 'foreign')?.severity).toBe('review');
  const blocks = findings.filter(({ severity }) => severity === 'block').map(({ id }) => id);
  expect(exitCode).toBe(blocks.length > 0 ? 3 : 2);
});

it.each(['text', 'json', 'html', 'junit'])(
  'the inventory shows no secret of the node as %s',
  async (format) => {
    const { stdout, stderr } = await onNode('-o', format);
    expect(stdout).toContain('node-7');
    expect(stdout).not.toContain(PLANTED);
    expect(stdout).not.toContain(Buffer.from(`me:${PLANTED}-5`).toString('base64').slice(0, 12));
    expect(stderr).toBe('');
  },
);

it('the inventory asks the Engine with GET requests only, and leaves files and containers as they are', async () => {
  const proxy = await EngineProxy.start(engine.dockerHost);
  try {
    const files = await readdir(root, { recursive: true });
    const before = await engineGet(engine.dockerHost, '/containers/json?all=1');
    expect((await take('--root', root, '--docker-endpoint', proxy.dockerHost)).code).toBe(3);
    expect(new Set(proxy.calls.map(({ method }) => method))).toEqual(new Set(['GET']));
    expect(await readdir(root, { recursive: true })).toEqual(files);
    const ids = (list: unknown): string[] =>
      (list as { Id: string; State: string }[]).map(({ Id, State }) => `${Id} ${State}`);
    expect(ids(await engineGet(engine.dockerHost, '/containers/json?all=1'))).toEqual(ids(before));
  } finally {
    await proxy.stop();
  }
});

it('the inventory names the line of the mistake in a broken daemon.json, and does not change the file', async () => {
  const path = join(root, 'etc/docker/daemon.json');
  const good = await readFile(path, 'utf8');
  const broken = '{\n  "debug": true,\n  "bip" "172.26.0.1/16"\n}\n';
  await writeFile(path, broken);
  try {
    const { findings, exitCode } = await reported();
    const [first] = findings;
    expect(findings.map(({ id }) => id)).toContain('daemon-json-broken');
    expect(first?.severity).toBe('block');
    const evidence = findings.find(({ id }) => id === 'daemon-json-broken')?.evidence;
    expect(evidence).toEqual([{ where: '/etc/docker/daemon.json:3', what: 'is not valid JSON here' }]);
    expect(exitCode).toBe(3);
    expect(await readFile(path, 'utf8')).toBe(broken);
  } finally {
    await writeFile(path, good);
  }
});

it('the inventory fails with a message, and without a report, if the Engine is dead or the root is no directory', async () => {
  const dead = await take('--root', root, '--docker-endpoint', 'unix:///nowhere/docker.sock');
  expect(dead).toMatchObject({ code: 1, stdout: '' });
  expect(dead.stderr).toMatch(
    /^dockbridge migrate inventory: the inventory needs the Engine at unix:\/\/\/nowhere.*ENOENT/,
  );
  const usual = await take('--root', root);
  expect(usual).toMatchObject({ code: 1, stdout: '' });
  const lost = await take('--root', join(root, 'etc/hostname'), '--docker-endpoint', engine.dockerHost);
  expect(lost).toMatchObject({ code: 1, stdout: '' });
  expect(lost.stderr).toMatch(/is not a directory/);
});

it('the inventory fails with a message if it lacks the rights', async () => {
  await chmod(root, 0o755);
  const through = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
  const command = new Command(
    ['migrate', 'inventory', '--root', root, '--docker-endpoint', engine.dockerHost],
    {},
    through,
  );
  expect(await command.exit()).toBe(1);
  expect(command.stdout).toBe('');
  expect(command.stderr).toMatch(/Run the command as root\./);
});

it('the inventory says that there is nothing to do on a node without Docker', async () => {
  const empty = await mkdtemp(join(tmpdir(), 'dockbridge-inventory-empty-'));
  try {
    const { code, stdout, stderr } = await take('--root', empty);
    expect(stderr).toBe('');
    expect(stdout).toContain('There is no Docker on this node: there is nothing to migrate.');
    expect(code).toBe(0);
  } finally {
    await rm(empty, { recursive: true, force: true });
  }
});
