import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CriClient } from '../../src/server/client/cri-client';
import { Command } from './support/command';
import { engineCall, sharedDockerHost } from './support/engine';

const run = promisify(execFile);
const ROOT = join(__dirname, '../..');

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

let directory: string;
let packed: Packed;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-npm-'));
  await mkdir(join(directory, 'node'));
  // `make build` has made dist/. Another build would remove it under the tests that run at the same time.
  const words = ['pack', '--json', '--ignore-scripts', '--pack-destination', directory];
  const { stdout } = await run('npm', words, { cwd: ROOT });
  packed = (JSON.parse(stdout) as Packed[])[0]!;
  const install = [
    'install',
    '--ignore-scripts',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    join(directory, packed.filename),
  ];
  // The scripts would compile ssh2's native code, which dockbridge never loads.
  await run('npm', install, { cwd: join(directory, 'node'), timeout: 280_000 });
}, 300_000);
afterAll(() => rm(directory, { recursive: true, force: true }));

const NPX = ['--no-install', 'dockbridge'];
/** Runs what npx runs, without npx as a parent that would catch our signals. */
const installed = (...args: string[]): Command =>
  new Command(
    args,
    { DOCKBRIDGE_RUN_DIR: join(directory, 'run') },
    [],
    [join(directory, 'node/node_modules/.bin/dockbridge')],
  );

describe('npm pack', () => {
  it('contains one file for each source, the codecs, the pause image and the notify helper, and nothing else', async () => {
    const sources = await readdir(join(ROOT, 'src'), { recursive: true });
    const compiled = sources
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
      .map((file) => `dist/${file.slice(0, -'.ts'.length)}.js`);
    expect(compiled).toContain('dist/main.js');
    expect(packed.files.map(({ path }) => path).sort()).toEqual(
      [
        ...compiled,
        ...['LICENSE', 'README.md', 'package.json'],
        ...[
          'dist/harness/html/tape-page.template',
          'dist/notify-helper',
          'dist/pause/pause.tar',
          'dist/proto/gen/containerd.js',
          'dist/proto/gen/cri.js',
          'dist/proto/gen/descriptors.js',
        ],
      ].sort(),
    );
  });
});

describe('the command that npm installs', () => {
  it('prints its help', async () => {
    const { stdout } = await run('npx', [...NPX, '--help'], { cwd: join(directory, 'node') });
    expect(stdout).toContain('Usage: dockbridge');
  });

  it('examines a node', async () => {
    const doctor = installed('doctor', '-o', 'json', '--docker-endpoint', sharedDockerHost());
    // This machine has neither kubelet nor CNI, which the doctor reports.
    expect([0, 1, 2]).toContain(await doctor.exit());
    const { checks } = JSON.parse(doctor.stdout) as { checks: readonly { check: string; level: string }[] };
    expect(checks.find(({ check }) => check === 'engine')).toMatchObject({ level: 'ok' });
  });

  it('serves with a pause image of its own', async () => {
    const socket = `unix://${join(directory, 'cri.sock')}`;
    await engineCall(sharedDockerHost(), 'DELETE', '/images/dockbridge.local/pause:1').catch(() => undefined);
    const daemon = installed(
      ...['serve', '--container-runtime-endpoint', socket, '--docker-endpoint', sharedDockerHost()],
      ...['--state-dir', join(directory, 'state'), '--network-plugin', 'no-op'],
      // No registry answers at this address.
      ...['--pod-infra-container-image', '127.0.0.1:1/pause:1'],
    );
    const client = new CriClient(socket);
    try {
      await daemon.says('Connected to Docker Engine');
      const metadata = { name: 'npm', uid: 'npm', namespace: 'test', attempt: 0 };
      const { pod_sandbox_id } = await client.call('RunPodSandbox', { config: { metadata, linux: {} } });
      await client.call('RemovePodSandbox', { pod_sandbox_id });
      daemon.signal('SIGTERM');
      expect(await daemon.exit()).toBe(0);
    } finally {
      client.close();
      await daemon.kill();
    }
  });
});
