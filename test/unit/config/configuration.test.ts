import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  knownFlags,
  loadConfiguration,
  loadDespiteFiles,
  readConfiguration,
} from '../../../src/config/configuration';
import { faultLine } from '../../../src/config/fault';
import { rejectionOf } from '../support/errors';

let directory: string;
beforeEach(async () => (directory = await mkdtemp(join(tmpdir(), 'dockbridge-config-'))));
afterEach(() => rm(directory, { recursive: true }));

const place = () => ({ file: join(directory, 'config.yaml'), directory: join(directory, 'config.d') });

async function write(files: Record<string, string>): Promise<void> {
  await mkdir(join(directory, 'config.d'), { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
}

const load = (given: Record<string, string> = {}, environment: Record<string, string> = {}) =>
  loadConfiguration(given, environment, place());

/** Returns the errors, with the directory of this test removed from them. */
async function faults(given: Record<string, string> = {}, environment: Record<string, string> = {}) {
  const read = await readConfiguration(given, environment, place());
  return read.faults.map((fault) => faultLine(fault).replaceAll(`${directory}/`, ''));
}

describe('configuration files', () => {
  it('are optional', async () => {
    const { settings, files } = await load();
    expect([settings.logLevel, files]).toEqual(['info', []]);
  });

  it('rank below the command line and the environment, and above the defaults', async () => {
    await write({
      'config.yaml': 'log-level: debug\ncni-timeout: 3s\nstate-dir: /s\npod-cidr: 10.1.0.0/24\n',
    });
    const { settings } = await load({ 'log-level': 'error' }, { DOCKBRIDGE_CNI_TIMEOUT: '4s' });
    expect(settings).toMatchObject({
      logLevel: 'error',
      cniTimeout: 4_000,
      stateDir: '/s',
      podCidr: '10.1.0.0/24',
      runDir: '/run/dockbridge',
    });
  });

  it('in config.d apply in the order of their names, after config.yaml; other files there are ignored', async () => {
    await write({
      'config.yaml': 'state-dir: /main\nrun-dir: /main\ncni-conf-dir: /main\n',
      'config.d/20-b.yaml': 'state-dir: /b\n',
      'config.d/10-a.yaml': 'state-dir: /a\nrun-dir: /a\n',
      'config.d/30-c.yaml~': 'state-dir: /c\n',
      'config.d/.40-d.yaml': 'state-dir: /d\n',
    });
    const { settings, files, warnings } = await load();
    expect([settings.stateDir, settings.runDir, settings.cniConfDir]).toEqual(['/b', '/a', '/main']);
    expect(files).toEqual(
      ['config.yaml', 'config.d/10-a.yaml', 'config.d/20-b.yaml'].map((name) => join(directory, name)),
    );
    expect(warnings).toEqual([]);
  });

  it('that end in .yml cause a warning', async () => {
    await write({ 'config.d/a.yml': 'state-dir: /a\n' });
    const { settings, warnings } = await load();
    expect(settings.stateDir).toBe('/var/lib/dockbridge');
    expect(warnings).toEqual([
      `${join(directory, 'config.d/a.yml')} is not read: its name must end in .yaml`,
    ]);
  });

  it('that set --observe get the defaults of an observer', async () => {
    await write({ 'config.yaml': 'observe: true\n' });
    expect((await load()).settings).toMatchObject({ observe: true, metricsAddress: 'off' });
  });

  it.each([
    ['--config', (path: string) => [{ config: path }, {}] as const],
    ['DOCKBRIDGE_CONFIG', (path: string) => [{}, { DOCKBRIDGE_CONFIG: path }] as const],
  ])('named by %s replace all others, and must exist', async (_, naming) => {
    await write({
      'config.yaml': 'state-dir: /a\n',
      'config.d/b.yaml': 'run-dir: /b\n',
      other: 'log-level: trace\n',
    });
    const { settings } = await load(...naming(join(directory, 'other')));
    expect(settings).toMatchObject({
      logLevel: 'trace',
      stateDir: '/var/lib/dockbridge',
      runDir: '/run/dockbridge',
    });
    expect(await faults(...naming(join(directory, 'none')))).toEqual(['none: there is no such file']);
    expect((await load(...naming(''))).files).toEqual([]);
  });

  it.each([
    ['a list', 'cni-bin-dir: [/a, /b]\nregistry-config:\n  - /x\n', ['/a', '/b'], ['/x']],
    ['a text with commas', 'cni-bin-dir: /a,/b\nregistry-config: ""\n', ['/a', '/b'], []],
    ['an empty list', 'registry-config: []\n', ['/opt/cni/bin'], []],
  ])('accept %s where an option takes several values', async (_, text, cniBinDir, registryConfig) => {
    await write({ 'config.yaml': text });
    expect((await load()).settings).toMatchObject({ cniBinDir, registryConfig });
  });

  it.each([
    ['numbers as written', 'container-log-spool-files: 007\nruntime-request-timeout: 0\n', [7, 0]],
    ['quoted numbers', 'container-log-spool-files: "8"\nruntime-request-timeout: "5s"\n', [8, 5_000]],
    ['JSON', '{"container-log-spool-files": 9, "runtime-request-timeout": "1m"}', [9, 60_000]],
  ])('accept %s', async (_, text, [containerLogMaxFiles, runtimeRequestTimeout]) => {
    await write({ 'config.yaml': text });
    expect((await load()).settings).toMatchObject({ containerLogMaxFiles, runtimeRequestTimeout });
  });

  it.each(['', '# nothing\n', '---\n', '\n  # a\n'])('without settings (%j) change nothing', async (text) => {
    await write({ 'config.yaml': text });
    expect((await load()).settings).toEqual((await loadConfiguration({ config: '' }, {})).settings);
  });
});

describe('errors', () => {
  it.each([
    [
      'a misspelt key',
      'log-levle: debug\n',
      'config.yaml:1: there is no option "log-levle"; the nearest one is log-level',
    ],
    [
      "a key in kubelet's spelling",
      '\ncniBinDir: /a\n',
      'config.yaml:2: there is no option "cniBinDir"; the nearest one is cni-bin-dir',
    ],
    [
      'an unknown key',
      'colour: red\n',
      'config.yaml:1: there is no option "colour" (dockbridge config default lists them all)',
    ],
    [
      'the option --config as a key',
      'config: /x\n',
      'config.yaml:1: "config" is an option of the command line, not a key of a file',
    ],
    [
      'an invalid value',
      '# a\nlog-level: loud\n',
      'config.yaml:2: log-level: "loud" is none of error, warn, info, debug, trace',
    ],
    ['a list', 'log-level:\n  - debug\n', 'config.yaml:2: log-level: takes LEVEL, not a list'],
    ['a map', 'state-dir:\n  path: /x\n', 'config.yaml:2: state-dir: takes DIR, not a map'],
    [
      'a nested list',
      'cni-bin-dir:\n  - /a\n  - [/b]\n',
      'config.yaml:3: cni-bin-dir: takes DIRS, not a list in a list',
    ],
    [
      'a boolean',
      'state-dir: true\n',
      'config.yaml:1: state-dir: takes DIR, but true is a boolean: put it in quotes if it is meant as text',
    ],
    [
      'a text for a boolean option',
      'observe: yes\n',
      'config.yaml:1: observe: "yes" is neither true nor false',
    ],
    [
      'a missing value',
      'state-dir:\n',
      "config.yaml:1: state-dir: has no value: write '' for an empty value, or delete the line to use the default",
    ],
    [
      'an alias',
      'state-dir: &a /x\nrun-dir: *a\n',
      'config.yaml:2: run-dir: is an alias: write the value itself',
    ],
    [
      'a document that is not a map',
      '- a\n',
      'config.yaml:1: is not a map of options, such as "log-level: debug"',
    ],
    ['a duplicate key', 'log-level: info\nlog-level: debug\n', 'config.yaml:2: Map keys must be unique'],
    ['broken YAML', 'a: [\nb: c\n', expect.stringMatching(/^config\.yaml:[23]: ./)],
    [
      'two documents',
      'log-level: info\n---\nlog-level: debug\n',
      expect.stringMatching(/^config\.yaml:\d: .*multiple documents/),
    ],
  ])('in a file are reported with their line: %s', async (_, text, fault) => {
    await write({ 'config.yaml': text });
    expect((await faults())[0]).toEqual(fault);
  });

  it('in all files, the command line and the environment are reported together, and nothing is loaded', async () => {
    await write({
      'config.yaml': 'log-level: loud\nobserv: true\n',
      'config.d/a.yaml': 'cni-timeout: soon\n',
    });
    const given = { 'pod-cidr': 'x', 'container-logs': 'x' };
    const environment = { DOCKBRIDGE_STATS_SOURCE: 'x' };
    const expected = [
      'config.yaml:1: log-level: "loud" is none of error, warn, info, debug, trace',
      'config.yaml:2: there is no option "observ"; the nearest one is observe',
      'config.d/a.yaml:1: cni-timeout: "soon" is not a time such as 1m30s',
      '--container-logs: "x" is none of cri, link',
      'DOCKBRIDGE_STATS_SOURCE: "x" is none of auto, cgroup, engine',
    ];
    expect(await faults(given, environment)).toEqual(expected);
    expect((await rejectionOf(load(given, environment))).replaceAll(`${directory}/`, '')).toBe(
      `INVALID_ARGUMENT ${expected.join('\n')}`,
    );
  });

  it('in a file are reported even if a flag overrides the value', async () => {
    await write({ 'config.yaml': 'log-level: loud\n' });
    expect(await faults({ 'log-level': 'info' })).toHaveLength(1);
  });

  it.each([
    ['a directory', (path: string) => mkdir(path), 'not a regular file'],
    [
      'a file that is too large',
      (path: string) => writeFile(path, '#'.repeat(1024 * 1024 + 1)),
      'larger than',
    ],
  ])('name a file that cannot be used: %s', async (_, make, why) => {
    await make(join(directory, 'config.yaml'));
    expect(await faults()).toEqual([
      expect.stringMatching(new RegExp(`^config.yaml: cannot be read .*${why}`)),
    ]);
  });
});

describe('environment variables', () => {
  it.each([
    ['DOCKBRIDGE_LOGLEVEL', '; the nearest one is DOCKBRIDGE_LOG_LEVEL'],
    ['DOCKBRIDGE_CNI_BIN_DIRS', '; the nearest one is DOCKBRIDGE_CNI_BIN_DIR'],
    ['DOCKBRIDGE_CONFIGS', '; the nearest one is DOCKBRIDGE_CONFIG'],
    ['DOCKBRIDGE_SOMETHING_ELSE', ' (dockbridge serve --help lists them all)'],
  ])('that look like an option but are none cause a warning: %s', async (name, rest) => {
    const { warnings } = await load(
      {},
      { [name]: 'x', PATH: '/bin', DOCKBRIDGE_LOG_LEVEL: 'debug', DOCKBRIDGE_CONFIG: '' },
    );
    expect(warnings).toEqual([`${name} has no effect: there is no such option${rest}`]);
  });
});

it('options in a file that have no effect are named', async () => {
  await write({ 'config.yaml': 'hairpin-mode: none\n' });
  expect((await load()).ignored.map(({ name }) => name)).toEqual(['hairpin-mode']);
});

describe('the valid part of broken files', () => {
  const despite = async (files: Record<string, string>) => {
    await write(files);
    const { settings, faults: found } = await loadDespiteFiles({ 'log-level': 'warn' }, {}, place());
    return {
      kept: [settings.runDir, settings.stateDir, settings.cniTimeout, settings.logLevel],
      cniBinDir: settings.cniBinDir,
      faults: found.map((fault) => faultLine(fault).replaceAll(`${directory}/`, '')),
    };
  };

  it('applies when other keys or values are invalid', async () =>
    expect(
      await despite({
        'config.yaml': 'run-dir: /r\nno-such: 1\ncni-timeout: soon\n',
        'config.d/a.yaml': 'state-dir: /s\n',
      }),
    ).toMatchObject({
      kept: ['/r', '/s', 120_000, 'warn'],
      faults: [
        expect.stringMatching(/^config\.yaml:2: .*no-such/),
        expect.stringMatching(/^config\.yaml:3: cni-timeout/),
      ],
    }));

  it('applies up to the place where a file is no longer YAML', async () =>
    expect(
      await despite({ 'config.yaml': 'run-dir: /r\ncni-timeout: 3s\ncni-bin-dir: [/b\nstate-dir: /s\n' }),
    ).toMatchObject({
      kept: ['/r', '/var/lib/dockbridge', 3_000, 'warn'],
      cniBinDir: ['/opt/cni/bin'],
      faults: expect.arrayContaining([expect.stringMatching(/^config\.yaml:\d+: /)]) as string[],
    }));

  it('applies when a key is there twice', async () =>
    expect(await despite({ 'config.yaml': 'run-dir: /a\nrun-dir: /r\nstate-dir: /s\n' })).toMatchObject({
      kept: ['/r', '/s', 120_000, 'warn'],
      faults: [expect.stringMatching(/^config\.yaml:2: /)],
    }));

  it('comes from all other sources when a file is missing', async () => {
    const file = join(directory, 'none.yaml');
    const { settings, faults: found } = await loadDespiteFiles(
      { config: file, 'run-dir': '/r' },
      {},
      place(),
    );
    expect([settings.runDir, found.map(faultLine)]).toEqual(['/r', [`${file}: there is no such file`]]);
  });

  it.each([
    [{ 'cni-timeout': 'soon' }, {}, '--cni-timeout'],
    [{}, { DOCKBRIDGE_CNI_TIMEOUT: 'soon' }, 'DOCKBRIDGE_CNI_TIMEOUT'],
  ])('is not used if a flag or a variable is invalid: %j %j', async (given, environment, name) => {
    await write({ 'config.yaml': 'no-such: 1\n' });
    const error = await rejectionOf(loadDespiteFiles(given, environment, place()));
    expect(error).toContain(name);
    expect(error).not.toContain('no-such');
  });
});

it('knownFlags returns the flags of the option table, and drops others', () => {
  const args = [
    '--cni-bin-dir',
    '/a,/b',
    '--ipv6-dual-stack',
    '--buildinfo',
    '--config=/c',
    '--cri-dockerd-root-directory=/x',
  ];
  expect(knownFlags(args)).toEqual({
    'cni-bin-dir': '/a,/b',
    config: '/c',
    'ipv6-dual-stack': 'true',
    'cri-dockerd-root-directory': '/x',
  });
});
