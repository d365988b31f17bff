import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { loadConfiguration, type ConfigPlace } from '../../../../src/config/configuration';
import { Archive, collect } from '../../../../src/doctor/bundle/bundle';
import { bundleItems, readmeOf, type BundleSources } from '../../../../src/doctor/bundle/items';
import { fail, reportOf } from '../../../../src/doctor/report';
import { rejectionOf } from '../../support/errors';

const run = promisify(execFile);
/** The planted secrets. None may be in a bundle. */
const SECRETS = Array.from({ length: 14 }, (_, at) => `s3cret-${at}-s3cret`);
const [ENV, TOKEN, PROXY, JOURNAL, HEADER, CNI, STATE, FLAG, DAEMON, FINDING, OPTION, BROKEN, COMMENT, FILE] =
  SECRETS;

let directory: string;
let metrics: Server;
const path = process.env.PATH;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-bundle-'));
  for (const name of ['state', 'run', 'net.d', 'bin', 'config.d']) await mkdir(join(directory, name));
  metrics = createServer((request, response) => response.end(`page ${request.url}\n`));
  await new Promise<void>((resolve) => metrics.listen(join(directory, 'run/metrics.sock'), resolve));
});
afterEach(async () => {
  process.env.PATH = path;
  metrics.close();
  await rm(directory, { recursive: true });
});

const configPlace = (): ConfigPlace => ({
  file: join(directory, 'config.yaml'),
  directory: join(directory, 'config.d'),
});

async function planted(): Promise<BundleSources> {
  const at = (name: string): string => join(directory, name);
  await writeFile(at('bin/journalctl'), `#!/bin/sh\necho "$2: --token=${JOURNAL} DB_PASSWORD=${ENV}"\n`);
  await chmod(at('bin/journalctl'), 0o755);
  process.env.PATH = `${at('bin')}:${path}`;
  await writeFile(at('state/engine.json'), JSON.stringify({ version: '28.5.2', secret: STATE }));
  await writeFile(at('net.d/10-net.conflist'), JSON.stringify({ plugins: [{ type: 'x', auth_token: CNI }] }));
  await writeFile(at('net.d/20-torn.conf'), `{ "password": "${BROKEN}`);
  await writeFile(
    at('kubelet.yaml'),
    `staticPodURLHeader:\n  X-Any:\n    - ${HEADER}\ncgroupDriver: systemd\n`,
  );
  await writeFile(at('daemon.json'), JSON.stringify({ 'log-opts': { 'splunk-token': DAEMON }, debug: true }));
  await writeFile(
    at('config.yaml'),
    `# password: ${COMMENT}\nlog-level: error\nregistry-config: [/a.json, "https://me:${FILE}@b/"]\ncni-timeout: 3m\n`,
  );
  await writeFile(at('config.d/10-cni.yaml'), 'cni-timeout: 4m\n');
  await writeFile(at('config.d/20-typo.yml'), 'cni-timeout: 5m\n');
  const flags = {
    ...{ 'state-dir': at('state'), 'run-dir': at('run'), 'cni-conf-dir': at('net.d') },
    'docker-endpoint': `tcp://user:${OPTION}@10.0.0.1:2375`,
  };
  const environment = { DOCKBRIDGE_LOG_LEVEL: 'debug' };
  const info = { HttpProxy: `http://me:${PROXY}@proxy`, Labels: [`token=${TOKEN}`], Driver: 'overlay2' };
  return {
    settings: (await loadConfiguration(flags, environment, configPlace())).settings,
    ...{ flags, environment, daemon: undefined, answerMs: 5_000 },
    processes: [
      { name: 'dockerd', pid: 1, args: [`--config-file=${at('daemon.json')}`] },
      { name: 'kubelet', pid: 2, args: ['--bootstrap-token', FLAG!] },
    ],
    version: () => Promise.resolve({ Version: '28.5.2' } as never),
    info: () => Promise.resolve({ answer: info as never, asked: 0, answered: 0 }),
    kubelet: () =>
      Promise.resolve({
        ...{ from: 'process 2', isRunning: true, args: ['--bootstrap-token', FLAG!] },
        ...{ file: at('kubelet.yaml'), configs: [], problems: [] },
      }),
    report: reportOf('1.2.3', [
      { check: 'engine', ...fail(`http://x:${FINDING}@y does not answer`, 'Start it.'), link: 'x' },
    ]),
  };
}

async function bundle(sources: BundleSources, file = join(directory, 'b.tar.gz')): Promise<string> {
  const archive = await Archive.create(file);
  await archive.write(
    await collect(bundleItems(sources, configPlace()), 5_000, readmeOf('1.2.3', new Date())),
    new Date(),
  );
  return file;
}

it('a bundle contains the data that a maintainer needs, and none of the planted secrets', async () => {
  const file = await bundle(await planted());
  const { stdout: names } = await run('tar', ['-tzf', file]);
  const { stdout: all } = await run('tar', ['-xzOf', file]);
  for (const secret of SECRETS) expect(all).not.toContain(secret);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const listed = names
    .trim()
    .split('\n')
    .map((name) => name.replace('dockbridge-bundle/', ''));
  expect(listed).toEqual([
    ...[
      'README.txt',
      'doctor.txt',
      'doctor.json',
      'versions.json',
      'options.json',
      'config-files.json',
      'metrics.txt',
      'healthz.txt',
    ],
    ...['docker-version.json', 'docker-info.json', 'daemon.json', 'kubelet.json', 'processes.json'],
    ...['state-engine.json', 'state-dir.txt', 'run-dir.txt', 'cni.json'],
    ...['log-dockbridge.txt', 'log-docker.txt', 'log-kubelet.txt'],
  ]);
  for (const kept of [
    ...['page /metrics', '"Driver": "overlay2"', '"cgroupDriver": "systemd"', '"debug": true', '"type": "x"'],
    ...[
      'not included: it cannot be parsed',
      '--bootstrap-token',
      'does not answer',
      'docker: --token=[removed]',
    ],
  ])
    expect(all).toContain(kept);
  const inBundle = async (name: string): Promise<unknown> =>
    JSON.parse((await run('tar', ['-xzOf', file, `dockbridge-bundle/${name}`])).stdout);
  expect(await inBundle('options.json')).toMatchObject({
    'log-level': { value: 'debug', source: 'environment' },
    'docker-endpoint': { value: 'tcp://[removed]@10.0.0.1:2375', source: 'flag' },
    'container-logs': { value: 'cri', source: 'default' },
    // The last file that names the option applies.
    'cni-timeout': { value: 240_000, source: 'file', place: `${directory}/config.d/10-cni.yaml:1` },
    'registry-config': { source: 'file', place: `${directory}/config.yaml:3` },
  });
  expect(await inBundle('config-files.json')).toEqual({
    files: {
      [`${directory}/config.yaml`]: {
        ...{ 'log-level': 'error', 'cni-timeout': '3m' },
        'registry-config': ['/a.json', 'https://[removed]@b/'],
      },
      [`${directory}/config.d/10-cni.yaml`]: { 'cni-timeout': '4m' },
    },
    faults: [],
    warnings: [expect.stringMatching(/20-typo\.yml is not read/) as string],
  });
  // Nobody answers at the control socket.
  expect(all).toMatch(/Not in this bundle:\n {2}status\.json: there is none/);
});

it('a bundle overwrites no file, and a discarded bundle leaves no file behind', async () => {
  const file = join(directory, 'there');
  await writeFile(file, 'precious');
  expect(await rejectionOf(Archive.create(file))).toMatch(/^FAILED_PRECONDITION .*there exists already/);
  expect(await readFile(file, 'utf8')).toBe('precious');
  const archive = await Archive.create(join(directory, 'begun'));
  await archive.discard();
  expect(await stat(join(directory, 'begun')).catch(() => undefined)).toBeUndefined();
});

describe('the collected data', () => {
  const item = (
    name: string,
    read: () => Promise<string | undefined>,
    keeps: 'beginning' | 'end' = 'beginning',
  ) => ({
    ...{ name, read, keeps },
  });

  it('is limited in size for each file and in total', async () => {
    const long = 'x'.repeat(3 << 20);
    const items = [
      item('head', () => Promise.resolve(`first${long}`)),
      item('tail', () => Promise.resolve(`${long}last`), 'end'),
      ...Array.from({ length: 9 }, (_, at) => item(`more-${at}`, () => Promise.resolve(long))),
    ];
    const files = await collect(items, 5_000, 'head');
    expect(files.reduce((sum, { text }) => sum + text.length, 0)).toBeLessThan(17 << 20);
    expect(files[1]?.text).toMatch(/^first.*\[1048581 characters were left out here\]\n$/s);
    expect(files[2]?.text).toMatch(/^\[\d+ characters were left out here\]\nx.*last$/s);
    expect(files[0]?.text).toContain('more-8: left out, because the bundle would be too large');
  });

  it('lacks sources that fail or hang, and gives a reason without secrets', async () => {
    const files = await collect(
      [
        item('bad', () => Promise.reject(new Error(`http://me:${TOKEN}@x is refused`))),
        item('slow', () => new Promise(() => undefined)),
        item('good', () => Promise.resolve('well')),
      ],
      50,
      'head',
    );
    expect(files.map(({ name }) => name)).toEqual(['dockbridge-bundle/README.txt', 'dockbridge-bundle/good']);
    expect(files[0]?.text).toMatch(/bad: .*http:\/\/\[removed\]@x is refused\n {2}slow: .*longer than 50 ms/);
  });
});
