import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { plan, type PlanCommand } from '../../../src/cli/migrate/plan';
import { KUBELET_FILES } from '../migrate/plan/node-facts';

/** An Engine with no containers and no images. */
const ANSWERS: Readonly<Record<string, object>> = {
  '/version': { Version: '28.5.2', ApiVersion: '1.51', Os: 'linux', Arch: 'amd64' },
  '/info': {
    CgroupDriver: 'systemd',
    CgroupVersion: '2',
    Driver: 'overlay2',
    DockerRootDir: '/var/lib/docker',
  },
  '/containers/json': [],
  '/images/json': [],
};

const CONFLIST = JSON.stringify({
  cniVersion: '1.0.0',
  name: 'pods',
  plugins: [
    { type: 'bridge', ipam: { type: 'host-local' } },
    { type: 'portmap', capabilities: { portMappings: true } },
  ],
});

let scratch: string;
let root: string;
let engine: Server;
/** Answers that differ from ANSWERS. */
let answers: Record<string, object>;
let output: { stdout: string; stderr: string };

beforeEach(async () => {
  answers = {};
  scratch = await mkdtemp(join(tmpdir(), 'migrate-plan-'));
  root = join(scratch, 'node');
  for (const [path, text] of Object.entries({
    ...KUBELET_FILES,
    '/etc/cni/net.d/10-pods.conflist': CONFLIST,
    '/opt/cni/bin/loopback': '',
    '/opt/cni/bin/bridge': '',
    '/opt/cni/bin/portmap': '',
    '/opt/cni/bin/host-local': '',
  }))
    await put(path, text);
  engine = createServer(({ url = '' }, response) => {
    const path = url.replace(/^\/v[\d.]+/, '').replace(/\?.*/, '');
    response.statusCode = path in ANSWERS ? 200 : 404;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(answers[path] ?? ANSWERS[path] ?? { message: 'not found' }));
  });
  engine.listen(join(scratch, 'docker.sock'));
  await once(engine, 'listening');
  output = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    jest.spyOn(process[stream], 'write').mockImplementation((chunk: unknown, ...rest: unknown[]) => {
      output[stream] += String(chunk);
      for (const done of rest) if (typeof done === 'function') (done as () => void)();
      return true;
    });
});
afterEach(async () => {
  jest.restoreAllMocks();
  engine.closeAllConnections();
  await new Promise((resolve) => engine.close(resolve));
  await rm(scratch, { recursive: true });
});

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), text);
}

/** All files below a directory with their texts. */
async function tree(directory: string): Promise<Record<string, string>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const texts: Record<string, string> = {};
  for (const path of files) texts[path] = await readFile(path, 'utf8');
  return texts;
}

const run = (more: Partial<PlanCommand> = {}) =>
  plan({
    to: 'containerd',
    out: join(scratch, 'out'),
    root,
    dockerEndpoint: `unix://${join(scratch, 'docker.sock')}`,
    keepDocker: false,
    accept: [],
    ...more,
  });

describe('dockbridge migrate plan', () => {
  it.each(['containerd', 'cri-o'] as const)('writes a plan for %s and leaves the node alone', async (to) => {
    await put('/etc/docker/daemon.json', '{"registry-mirrors": ["https://m.example"]}');
    const before = await tree(root);
    expect([await run({ to }), output.stderr]).toEqual([0, '']);
    expect(output.stdout).toContain(`Read ${scratch}/out/plan.md first.`);
    expect(await tree(root)).toEqual(before);
    expect((await readdir(scratch)).sort()).toEqual(['docker.sock', 'node', 'out']);
    expect((await readdir(join(scratch, 'out'))).sort()).toEqual([
      'files',
      'patches',
      'plan.json',
      'plan.md',
    ]);
  });

  it('shows in a patch the contents of a replaced file that no inventory reads, and backs the file up', async () => {
    const hosts = '/etc/containerd/certs.d/docker.io/hosts.toml';
    await put(hosts, 'server = "https://mine"\n');
    await put('/etc/docker/daemon.json', '{"registry-mirrors": ["https://m.example"]}');
    expect(await run()).toBe(0);
    const patch = await readFile(join(scratch, `out/patches${hosts}.patch`), 'utf8');
    expect(patch).toContain('-server = "https://mine"\n');
    expect(await readFile(join(scratch, 'out/plan.md'), 'utf8')).toMatch(
      new RegExp(`tar -C / -czf .*${hosts.slice(1)}`),
    );
  });

  it("edits kubelet's configuration and its drop-ins wherever its flags say they are", async () => {
    const kind =
      'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\ncgroupDriver: systemd\n';
    const endpoint = 'containerRuntimeEndpoint: unix:///run/cri-dockerd.sock\n';
    await put(
      '/var/lib/kubelet/kubeadm-flags.env',
      'KUBELET_KUBEADM_ARGS="--config=/etc/kubelet/main.yaml --config-dir=/etc/kubelet/d"\n',
    );
    await put('/etc/kubelet/main.yaml', kind + endpoint);
    await put('/etc/kubelet/d/10.conf', kind + endpoint);
    expect([await run(), output.stderr]).toEqual([0, '']);
    const markdown = await readFile(join(scratch, 'out/plan.md'), 'utf8');
    for (const path of ['/etc/kubelet/main.yaml', '/etc/kubelet/d/10.conf']) {
      expect(await readFile(join(scratch, `out/files${path}`), 'utf8')).toBe(
        `${kind}containerRuntimeEndpoint: unix:///run/containerd/containerd.sock\n`,
      );
      expect(markdown).toMatch(new RegExp(`tar -C / -czf .*${path.slice(1)}`));
    }
  });

  it('makes no file more readable than it is on the node', async () => {
    const main = '/etc/containerd/config.toml';
    await put(main, 'version = 3\n[debug]\nlevel = "info"\n');
    await chmod(join(root, main), 0o600);
    expect(await run()).toBe(0);
    for (const path of [`out/files${main}`, `out/patches${main}.patch`])
      expect((await stat(join(scratch, path))).mode & 0o777).toBe(0o600);
  });

  it.each([
    ['a broken daemon.json', '{"debug": tru', 'is not valid JSON here'],
    ['an authorization plugin', '{"authorization-plugins": ["opa"]}', 'setting-authorization-plugins'],
  ])('writes nothing and exits with 3 for %s', async (_, text, message) => {
    await put('/etc/docker/daemon.json', text);
    expect(await run()).toBe(3);
    expect(output.stderr).toContain(message);
    expect(output.stderr).toContain('No plan was written.');
    expect(await readdir(scratch)).not.toContain('out');
  });

  it('accepts a finding that the user names', async () => {
    await put('/etc/docker/daemon.json', '{"authorization-plugins": ["opa"]}');
    expect([await run({ accept: ['setting-authorization-plugins'] }), output.stderr]).toEqual([0, '']);
    expect(await readFile(join(scratch, 'out/plan.md'), 'utf8')).toContain(
      'Accepted although they forbid the migration',
    );
  });

  it('writes nothing and exits with 1 without an Engine', async () => {
    const dockerEndpoint = `unix://${join(scratch, 'none.sock')}`;
    expect(await run({ dockerEndpoint })).toBe(1);
    expect(output.stderr).toContain(`a plan needs the Engine at ${dockerEndpoint}`);
    expect(await readdir(scratch)).not.toContain('out');
  });

  it("writes nothing and exits with 3 when the Engine runs on the node's containerd 1", async () => {
    answers = {
      '/version': { ...ANSWERS['/version']!, Components: [{ Name: 'containerd', Version: 'v1.7.25' }] },
      '/info': { ...ANSWERS['/info']!, Containerd: { Address: '/run/containerd/containerd.sock' } },
    };
    expect(await run()).toBe(3);
    expect(output.stderr).toContain('containerd-version: The Engine runs on containerd v1.7.25');
    expect(await readdir(scratch)).not.toContain('out');
  });

  it('asks for another directory when the one given has files', async () => {
    expect(await run({ out: root })).toBe(1);
    expect(output.stderr).toBe(`dockbridge migrate plan: ${root} is not empty: name a new directory\n`);
  });
});
