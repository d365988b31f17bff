import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { demo } from '../../src/cli/demo';
import { TestDaemon } from './support/daemon';
import { sharedDockerHost, TEST_IMAGE } from './support/engine';

const run = promisify(execFile);
const ROOT = join(__dirname, '../..');

describe('dockbridge demo', () => {
  let test: TestDaemon;
  let told: string;
  beforeAll(async () => {
    test = await TestDaemon.start();
    // The demo first calls Version, which waits for only two seconds.
    await test.synced();
  });
  afterAll(() => test.stop());
  beforeEach(() => {
    told = '';
    jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
      told += String(text);
      return true;
    });
  });
  afterEach(() => jest.restoreAllMocks());

  it('runs a pod through a running dockbridge, reports its steps, and leaves nothing behind', async () => {
    await demo({ endpoint: test.endpoint, dockerEndpoint: sharedDockerHost(), image: TEST_IMAGE });
    expect(told).toMatch(/Pod {7}\w{12} {2}ready, IP [\d.]+/);
    expect(told).toMatch(/stdout F one job, done\n/);
    expect(told).toMatch(/Exec {6}exit 0: exec in demo: Linux/);
    const { items } = await test.client.call('ListPodSandbox', {});
    expect(items).toEqual([]);
  });

  it('leaves the logs in a given directory', async () => {
    const logDirectory = join(test.directory, 'demo-logs');
    const { endpoint } = test;
    await demo({ endpoint, dockerEndpoint: sharedDockerHost(), image: TEST_IMAGE, logDirectory });
    expect(await readFile(join(logDirectory, 'worker.log'), 'utf8')).toContain('stdout F one job, done\n');
  });
});

describe('dockbridge demo on another runtime', () => {
  /** The image that containerd requires by this name before it makes a pod (test/conformance/node.sh). */
  const PAUSE = '127.0.0.1:5000/pause:1';
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'dockbridge-demo-test-'));
    const docker = (...words: string[]): Promise<unknown> =>
      run('docker', words, { env: { ...process.env, DOCKER_HOST: sharedDockerHost() } });
    await docker(
      ...['import', '--change', 'ENTRYPOINT ["/pause"]'],
      ...[join(ROOT, 'dist/pause/pause.tar'), PAUSE],
    );
    await docker('save', '--output', join(directory, 'images.tar'), PAUSE, TEST_IMAGE);
    await docker('rmi', PAUSE);
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it("runs its pod through containerd's own CRI, and reports the same steps", async () => {
    const onNode = `
      ctr --address "\${CONFORMANCE_ENDPOINT#unix://}" --namespace k8s.io images import "$1" >/dev/null
      exec "$2" "$3" demo --endpoint "$CONFORMANCE_ENDPOINT" --image "$4"`;
    const words = [join(directory, 'images.tar'), process.execPath, join(ROOT, 'dist/main.js'), TEST_IMAGE];
    const { stdout } = await run(
      'bash',
      [join(ROOT, 'test/conformance/node.sh'), 'bash', '-ec', onNode, 'bash', ...words],
      { env: { ...process.env, ENGINE: 'containerd' }, timeout: 180_000 },
    );
    expect(stdout).toMatch(/^Runtime {3}containerd /);
    expect(stdout).toMatch(/Pod {7}\w{12} {2}ready, IP 10\.99\./);
    expect(stdout).toMatch(/stdout F one job, done\n/);
    expect(stdout).toMatch(/Exec {6}exit 0: exec in demo: Linux/);
    expect(stdout).toContain('Removed   the pod and its containers');
  }, 200_000);
});
