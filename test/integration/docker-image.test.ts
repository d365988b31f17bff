import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { readNodeRights } from '../../src/node/node-rights';
import { CriClient } from '../../src/server/client/cri-client';
import { knownToEngine } from '../../src/translate/container/container-security';
import { DOCKBRIDGE_VERSION } from '../../src/release';
import { SpdyClient } from '../fakes/streaming-client';
import { engineDirectory, startPrivateEngine, TEST_IMAGE, type PrivateEngine } from './support/engine';
import { untilLogged } from './support/pods';

const run = promisify(execFile);
const ROOT = join(__dirname, '../..');
const BUILDER = 'dockbridge.test/builder:1';
const BASE = 'dockbridge.test/base:1';
const ARCH = { x64: 'amd64', arm64: 'arm64' }[process.arch as string] ?? process.arch;

interface Service {
  cgroup?: string;
  privileged?: boolean;
  cap_add?: readonly string[];
  security_opt?: readonly string[];
  build: { context: string };
}
interface Compose {
  readonly services: { readonly dockbridge: Service };
}

let directory: string;
let engine: PrivateEngine;
let env: NodeJS.ProcessEnv;

/**
 * Builds an image from Debian's packages and the additions of `more`, because the test reaches no registry.
 */
async function makeBase(
  name: string,
  packages: readonly string[],
  more: (root: string) => Promise<void>,
): Promise<void> {
  const root = await mkdtemp(join(directory, 'root-'));
  await run('bash', [join(ROOT, 'scripts/debian-root.sh'), root, ...packages]);
  await more(root);
  await run('bash', ['-ec', 'set -o pipefail; tar -C "$1" -c . | docker import - "$2"', 'bash', root, name], {
    env,
  });
  await rm(root, { recursive: true });
}

/** Builds the image of the builder, with Node.js and an npm that already has the packages of the lock file. */
async function makeBuilder(): Promise<void> {
  const packages = [
    'bash',
    'binutils',
    'coreutils',
    'dash',
    'findutils',
    'gcc',
    'grep',
    'gzip',
    'libc6-dev',
    'sed',
    'tar',
  ];
  await makeBase(BUILDER, packages, async (root) => {
    const { stdout } = await run('node', [join(ROOT, 'packaging/node.mjs'), ARCH]);
    const pinned = stdout.trim();
    for (const [from, to] of [
      [process.execPath, 'usr/local/bin/node'],
      [join(ROOT, 'node_modules'), 'opt/node_modules'],
      // packaging/node.mjs keeps its download here by default.
      [pinned, join('var/cache/dockbridge', basename(pinned))],
    ] as const) {
      await mkdir(dirname(join(root, to)), { recursive: true });
      await run('cp', ['-a', from, join(root, to)]);
    }
    const npm = join(root, 'usr/local/bin/npm');
    await writeFile(npm, '#!/bin/sh\n[ "$1" = ci ] && cp -a /opt/node_modules .\n');
    await chmod(npm, 0o755);
  });
}

/** Writes a copy of compose.yaml without the key `cgroup`, which docker-compose of Debian 12 does not know. */
async function composeFile(): Promise<string> {
  const compose = parse(await readFile(join(ROOT, 'docker/compose.yaml'), 'utf8')) as Compose;
  const { dockbridge } = compose.services;
  expect(dockbridge.cgroup).toBe('host');
  delete dockbridge.cgroup;
  dockbridge.build.context = ROOT;
  expect(dockbridge.privileged).toBe(true);
  const { capabilities } = await readNodeRights();
  if (capabilities !== undefined) {
    // A machine that lacks a capability starts no privileged container. The closest substitute is every
    // capability that it has.
    delete dockbridge.privileged;
    dockbridge.cap_add = knownToEngine(capabilities, '1.41') ?? [];
    dockbridge.security_opt = ['seccomp=unconfined', 'apparmor=unconfined'];
  }
  const file = join(directory, 'compose.json');
  await writeFile(file, JSON.stringify({ version: '2.4', ...compose }));
  return file;
}

const compose = async (...words: string[]): Promise<string> => {
  const all = ['--project-name', 'trial', '--file', join(directory, 'compose.json'), ...words];
  try {
    const { stdout } = await run('docker-compose', all, {
      env,
      timeout: 900_000,
      maxBuffer: 64 * 1024 * 1024,
    });
    return stdout;
  } catch (error) {
    const { stdout, message } = error as Error & { stdout: string };
    // The error of a build is among the last lines of its output.
    throw new Error(`${message}\n${stdout.split('\n').slice(-30).join('\n')}`, { cause: error });
  }
};

/** Repeats a call until it succeeds, because compose returns before the daemon in the container serves. */
async function answerOf<T>(call: () => Promise<T>): Promise<T> {
  const end = Date.now() + 120_000;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (Date.now() > end) throw error;
      await delay(100);
    }
  }
}

/** Waits until the container's layer has been measured, which happens in the background. */
async function expectFilled(client: CriClient, container_id: string): Promise<void> {
  const end = Date.now() + 60_000;
  for (;;) {
    const { stats } = await client.call('ContainerStats', { container_id });
    if (Number(stats?.writable_layer?.used_bytes?.value ?? 0) >= 4 * 1024 * 1024) return;
    if (Date.now() > end)
      throw new Error(`the layer is not measured: ${JSON.stringify(stats?.writable_layer)}`);
    await delay(200);
  }
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-image-'));
  engine = await startPrivateEngine('image');
  const home = engineDirectory(`image-${process.pid}`);
  env = {
    ...process.env,
    ...{ DOCKER_HOST: engine.dockerHost, DOCKER_SOCKET: join(home, 'docker.sock') },
    ...{ DOCKER_ROOT: join(home, 'data'), POD_LOGS: join(directory, 'pods') },
    ...{ DOCKBRIDGE_RUN: join(directory, 'run'), DOCKBRIDGE_STATE: join(directory, 'state') },
    // These select the Engine's own builder, which needs no buildx.
    ...{ BUILDER, BASE, COMPOSE_DOCKER_CLI_BUILD: '0', DOCKER_BUILDKIT: '0' },
  };
  await Promise.all(['pods', 'run', 'state'].map((name) => mkdir(join(directory, name))));
  await makeBuilder();
  await makeBase(BASE, ['coreutils', 'dash', 'libstdc++6', 'mount', 'util-linux'], () => Promise.resolve());
  await composeFile();
  await compose('up', '--build', '--detach');
}, 1_000_000);

afterAll(async () => {
  await engine.destroy();
  await rm(directory, { recursive: true, force: true });
}, 300_000);

describe('the trial image next to an Engine', () => {
  it('serves on the host, and runs a pod with log, exec, stats and port-forward', async () => {
    const client = new CriClient(`unix://${join(directory, 'run/cri.sock')}`);
    try {
      expect((await answerOf(() => client.call('Version', {}))).runtime_name).toBe('docker');
      const config = {
        metadata: { name: 'trial', uid: 'trial', namespace: 'test', attempt: 0 },
        log_directory: '/var/log/pods/trial',
        linux: {},
      };
      const { pod_sandbox_id } = await client.call('RunPodSandbox', { config });
      const script =
        'httpd -p 8080 -h /www; dd if=/dev/zero of=/filled bs=1M count=4 2>/dev/null; echo ready; exec sleep 1000';
      const { container_id } = await client.call('CreateContainer', {
        pod_sandbox_id,
        sandbox_config: config,
        config: {
          metadata: { name: 'main', attempt: 0 },
          image: { image: TEST_IMAGE },
          command: ['/bin/sh', '-c', script],
          log_path: 'main.log',
          linux: { resources: { memory_limit_in_bytes: 64 * 1024 * 1024 } },
        },
      });
      await client.call('StartContainer', { container_id });
      await untilLogged(join(directory, 'pods/trial/main.log'), 'ready');
      const { stdout } = await client.call('ExecSync', { container_id, cmd: ['echo', 'hello'], timeout: 20 });
      expect(Buffer.from(stdout).toString()).toBe('hello\n');
      const { stats } = await client.call('ContainerStats', { container_id });
      expect(Number(stats?.memory?.working_set_bytes?.value)).toBeGreaterThan(0);
      // The daemon can measure the layer only if it sees the pod's mounts in its own container.
      await expectFilled(client, container_id);
      const { url } = await client.call('PortForward', { pod_sandbox_id, port: [] });
      const forwarder = await SpdyClient.dial(url, 'portforward.k8s.io');
      const { data } = forwarder.forward(8080, 0);
      data.end('GET / HTTP/1.0\r\n\r\n');
      expect(await text(data)).toMatch(/200 OK[^]*ok\n$/);
      forwarder.close();

      // The end and restart of the daemon do not affect the pod.
      await compose('restart');
      const { containers } = await answerOf(() => client.call('ListContainers', {}));
      expect(containers).toMatchObject([{ id: container_id }]);
      await client.call('RemovePodSandbox', { pod_sandbox_id });
    } finally {
      client.close();
    }
    const demo = [
      'dockbridge',
      'demo',
      '--endpoint',
      'unix:///run/dockbridge/cri.sock',
      '--image',
      TEST_IMAGE,
    ];
    const told = await compose('exec', '-T', 'dockbridge', ...demo, '--log-directory', '/var/log/pods/demo');
    expect(told).toContain('stdout F one job, done\n');
    const said = await compose('logs', '--no-color');
    expect(said).toContain('Connected to Docker Engine');
    expect(said.split('\n').filter((line) => line.includes('"level":"error"'))).toEqual([]);
  });

  it("contains the packages' program with its Node.js, and otherwise only the base", async () => {
    const inImage = async (...words: string[]): Promise<string> => {
      const [program = '', ...rest] = words;
      const docker = ['run', '--rm', '--net', 'none', '--entrypoint', program, 'dockbridge:trial', ...rest];
      return (await run('docker', docker, { env })).stdout;
    };
    expect(await inImage('/usr/bin/dockbridge', '--version')).toBe(`${DOCKBRIDGE_VERSION}\n`);
    const { version } = parse(await readFile(join(ROOT, 'packaging/node.json'), 'utf8')) as {
      version: string;
    };
    expect(await inImage('/usr/lib/dockbridge/node', '--version')).toBe(`v${version}\n`);
    expect((await inImage('/bin/ls', '/')).split('\n')).not.toContain('src');
    expect((await inImage('/bin/ls', '/usr/lib/dockbridge')).split('\n').filter(Boolean)).toEqual([
      'commands.js',
      'commands.js.map',
      'dial-helper.js',
      'dial-helper.js.map',
      'disk',
      'main.js',
      'main.js.map',
      'node',
      'notify-helper',
      'open-telemetry.js',
      'open-telemetry.js.map',
      'pause',
      'sbom.cdx.json',
      'serve.js',
      'serve.js.map',
      'tape',
      'tape-page.template',
      'worker-entry.js',
      'worker-entry.js.map',
    ]);
  });
});
