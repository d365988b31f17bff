import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { DOCKBRIDGE_VERSION } from '../../src/release';
import { TestDaemon } from './support/daemon';
import { engineCall, sharedDockerHost, TEST_IMAGE } from './support/engine';
import { layOut } from './support/package-tree';
import { untilExited } from './support/pods';

const run = promisify(execFile);
const ROOT = join(__dirname, '../..');
const IMAGE = 'dockbridge.test/installer:1';

/** A systemctl that records its arguments, and knows which units run. */
const SYSTEMCTL = `#!/bin/sh
echo "$*" >>/told
case $1 in
  is-active) grep -qx "$3" /active 2>/dev/null ;;
  is-enabled) grep -qx "$3" /enabled 2>/dev/null ;;
  enable) [ "$2" != --now ] || echo "$3" >>/active ;;
esac
`;

interface Manifest {
  readonly kind: string;
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly initContainers: readonly {
          readonly command: readonly string[];
          readonly securityContext: {
            readonly runAsUser: number;
            readonly capabilities: { readonly drop: readonly string[]; readonly add: readonly string[] };
          };
        }[];
      };
    };
  };
}

let directory: string;
let payload: string;
let node: string;
let test: TestDaemon;
let install: Manifest['spec']['template']['spec']['initContainers'][number];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-installer-'));
  await layOut(join(directory, 'tree'));
  const env = {
    ...process.env,
    ...{ TREE: join(directory, 'tree'), SOURCE_DATE_EPOCH: '1700000000', GZIP_LEVEL: '-1' },
    ...{ DOCKER_HOST: sharedDockerHost(), DOCKER_BUILDKIT: '0' },
  };
  const arch = { x64: 'amd64' }[process.arch as string] ?? process.arch;
  const context = join(directory, 'context');
  const packages = join(context, 'packages');
  await run('bash', [join(ROOT, 'packaging/tarball.sh'), arch, packages], { env });
  const tarball = join(packages, `dockbridge-${DOCKBRIDGE_VERSION}-linux-${arch}.tar.gz`);
  await mkdir(join(directory, 'payload'));
  await run('tar', ['-C', join(directory, 'payload'), '-xzf', tarball]);
  payload = join(directory, 'payload');
  await cp(join(ROOT, 'docker'), join(context, 'docker'), { recursive: true });
  const build = ['build', '-f', join(context, 'docker/installer/Dockerfile'), '-t', IMAGE];
  await run(
    'docker',
    [...build, '--build-arg', `BASE=${TEST_IMAGE}`, '--build-arg', `ARCH=${arch}`, context],
    {
      env,
    },
  );
  const manifests = parseAllDocuments(await readFile(join(ROOT, 'docker/installer/daemonset.yaml'), 'utf8'));
  const daemonSet = manifests
    .map((document) => document.toJS() as Manifest)
    .find(({ kind }) => kind === 'DaemonSet');
  install = daemonSet!.spec.template.spec.initContainers[0]!;
  test = await TestDaemon.start();
  await test.synced();
});
afterAll(async () => {
  await test.stop();
  await engineCall(sharedDockerHost(), 'DELETE', `/images/${IMAGE}`);
  await rm(directory, { recursive: true, force: true });
});
beforeEach(async () => {
  node = await mkdtemp(join(directory, 'node-'));
  await run('bash', [join(ROOT, 'scripts/busybox-root.sh'), node]);
  await writeFile(join(node, 'bin/systemctl'), SYSTEMCTL, { mode: 0o755 });
  for (const path of ['run/systemd/system', 'var/tmp', 'usr'])
    await mkdir(join(node, path), { recursive: true });
});

interface Outcome {
  readonly code: number;
  readonly said: string;
  /** The calls to systemctl since the last check. */
  readonly told: readonly string[];
}

/** Runs the manifest's init container with its rights on `node`. */
async function installOn(
  env: Readonly<Record<string, string>> = {},
  capabilities: { readonly drop: readonly string[]; readonly add: readonly string[] } = install
    .securityContext.capabilities,
): Promise<Outcome> {
  await rm(join(node, 'told'), { force: true });
  const config = {
    metadata: { name: 'installer', uid: 'installer', namespace: 'test', attempt: 0 },
    log_directory: test.logDirectory,
    linux: {},
  };
  const { pod_sandbox_id } = await test.client.call('RunPodSandbox', { config });
  const { container_id } = await test.client.call('CreateContainer', {
    pod_sandbox_id,
    sandbox_config: config,
    config: {
      metadata: { name: 'install', attempt: 0 },
      image: { image: IMAGE },
      command: [...install.command],
      envs: Object.entries(env).map(([key, value]) => ({ key, value: Buffer.from(value) })),
      mounts: [
        { host_path: node, container_path: '/host' },
        // A node's root directory contains its devices.
        { host_path: '/dev/null', container_path: '/host/dev/null' },
      ],
      log_path: 'install.log',
      linux: {
        security_context: {
          run_as_user: { value: install.securityContext.runAsUser },
          no_new_privs: true,
          capabilities: {
            drop_capabilities: [...capabilities.drop],
            add_capabilities: [...capabilities.add],
          },
        },
      },
    },
  });
  await test.client.call('StartContainer', { container_id });
  await untilExited(test, container_id);
  const { status } = await test.client.call('ContainerStatus', { container_id });
  const said = await readFile(join(test.logDirectory, 'install.log'), 'utf8');
  await test.client.call('RemovePodSandbox', { pod_sandbox_id });
  await rm(join(test.logDirectory, 'install.log'));
  const told = (await readFile(join(node, 'told'), 'utf8').catch(() => '')).split('\n').filter(Boolean);
  return { code: status?.exit_code ?? -1, said, told };
}

describe("the installer's pod", () => {
  it('installs with the rights of its manifest, starts the unit, and changes nothing the second time', async () => {
    const first = await installOn();
    expect(first).toMatchObject({
      code: 0,
      said: expect.stringContaining('dockbridge.service was started') as string,
    });
    expect(first.said).toContain(`dockbridge ${DOCKBRIDGE_VERSION} is in /`);
    expect(first.told).toContain('enable --now dockbridge.service');
    const program = join(node, 'usr/lib/dockbridge/main.js');
    const { ino } = await stat(program);
    const second = await installOn();
    expect(second.code).toBe(0);
    expect(second.said).toContain(`dockbridge-${DOCKBRIDGE_VERSION} is on this node already`);
    expect(second.said).not.toContain('install.sh');
    expect(second.told.filter((line) => !/^is-(active|enabled) /.test(line))).toEqual([
      'enable --quiet dockbridge.service',
    ]);
    expect((await stat(program)).ino).toBe(ino);
    expect((await run('ls', [join(node, 'var/tmp')])).stdout).toBe('');
  });

  it('upgrades a node with another build, restarts a running daemon, and keeps settings', async () => {
    await installOn();
    const program = join(node, 'usr/lib/dockbridge/main.js');
    const settings = join(node, 'etc/dockbridge/config.yaml');
    await writeFile(program, '// an older one\n');
    await writeFile(settings, 'log-level: debug\n');
    const { code, said, told } = await installOn();
    expect(code).toBe(0);
    expect(said).toContain('/usr/lib/dockbridge/main.js is missing or differs');
    expect(await readFile(program, 'utf8')).toBe('');
    expect(await readFile(settings, 'utf8')).toBe('log-level: debug\n');
    expect(told).toContain('try-restart dockbridge.service');
    expect(told).not.toContain('enable --now dockbridge.service');
  });

  it.each(['cri-docker.service', 'cri-docker.socket', 'cri-dockerd.service', 'cri-dockerd.socket'])(
    'does not take a node from the %s of cri-dockerd without TAKE_OVER=yes',
    async (unit) => {
      for (const state of ['active', 'enabled']) await writeFile(join(node, state), `${unit}\n`);
      for (const companion of ['yes', 'no']) {
        const refused = await installOn({ CRI_DOCKERD: companion });
        expect(refused.code).toBe(1);
        expect(refused.said).toContain(`${unit} serves this node`);
        expect(refused.told.filter((line) => !line.startsWith('is-active '))).toEqual([]);
      }
      const { code, told } = await installOn({ TAKE_OVER: 'yes' });
      expect(code).toBe(0);
      // Otherwise both units would start at the next boot.
      expect(told.filter((line) => line.startsWith('disable '))).toEqual([`disable ${unit}`]);
      expect(told).toContain('enable --now dockbridge.service');
    },
  );

  it("installs cri-dockerd's command and units and starts them with CRI_DOCKERD=yes", async () => {
    const { code, told } = await installOn({ CRI_DOCKERD: 'yes' });
    expect(code).toBe(0);
    expect(told).toContain('enable --now cri-docker.service');
    expect(await readFile(join(node, 'usr/bin/cri-dockerd'), 'utf8')).toContain('dockbridge');
    // cri-dockerd's units serve the node from then on, even if the variable is missing in a later run.
    const later = await installOn();
    expect(later.code).toBe(0);
    expect(later.said).toContain('cri-docker.service runs');
    expect(later.told).not.toContain('enable --now dockbridge.service');
  });

  it('fails with fewer rights', async () => {
    const { code, said } = await installOn({}, { drop: ['ALL'], add: [] });
    expect(code).not.toBe(0);
    expect(said).toContain('chroot');
  });
});

describe('installer.sh', () => {
  const script = (env: NodeJS.ProcessEnv): Promise<{ stdout: string }> =>
    run('sh', [join(ROOT, 'docker/installer/installer.sh')], {
      env: { ...process.env, HOST: node, PAYLOAD: payload, ...env },
    });

  it('only copies with START=no', async () => {
    expect((await script({ START: 'no' })).stdout).toContain('nothing is started');
    expect(await readFile(join(node, 'told'), 'utf8')).not.toMatch(/^(enable|start)/m);
  });

  it('changes nothing on an incompatible node, and reports a missing systemd', async () => {
    const other = join(directory, 'other');
    await cp(payload, other, { recursive: true });
    await writeFile(join(other, `dockbridge-${DOCKBRIDGE_VERSION}/machine`), 'pdp11\n');
    await expect(script({ PAYLOAD: other })).rejects.toMatchObject({
      stderr: expect.stringContaining('this image is for pdp11') as string,
    });
    await expect(stat(join(node, 'usr/lib'))).rejects.toMatchObject({ code: 'ENOENT' });
    await rm(join(node, 'run'), { recursive: true });
    await expect(script({})).rejects.toMatchObject({
      stderr: expect.stringContaining('there is no systemd') as string,
    });
  });

  it('does not take a node from a cri-dockerd whose unit is unknown', async () => {
    await mkdir(join(node, 'proc/17'), { recursive: true });
    await writeFile(join(node, 'proc/17/comm'), 'cri-dockerd\n');
    await expect(script({})).rejects.toMatchObject({
      stderr: expect.stringContaining('cri-dockerd serves this node') as string,
    });
  });

  it('refuses an image with two versions, or none', async () => {
    const two = join(directory, 'two');
    for (const name of ['dockbridge-1', 'dockbridge-2'])
      await cp(join(payload, `dockbridge-${DOCKBRIDGE_VERSION}`), join(two, name), { recursive: true });
    for (const place of [two, join(directory, 'none')])
      await expect(script({ PAYLOAD: place })).rejects.toMatchObject({
        stderr: expect.stringContaining('not exactly one dockbridge') as string,
      });
  });
});
