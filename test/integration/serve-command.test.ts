import { existsSync } from 'node:fs';
import { lstat, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { OPTIONS, type Option } from '../../src/config/options';
import { CriClient } from '../../src/server/client/cri-client';
import { DOCKBRIDGE_VERSION } from '../../src/release';
import { sharedDockerHost } from './support/engine';
import { expectFailure } from './support/grpc';
import { Serving } from './support/serving';

const serving = new Serving();
const { start, serve, socket, basics, expectServes } = serving;

async function isReady(client: CriClient): Promise<boolean> {
  const answer = await client.call('Status', {}).catch(() => undefined);
  return answer?.status?.conditions.every(({ status }) => status) === true;
}

describe('commands without a daemon', () => {
  it.each([['--version'], ['version']])('%s prints the version', async (word) => {
    const command = start([word]);
    expect(await command.exit()).toBe(0);
    expect([command.stdout, command.stderr]).toEqual([`${DOCKBRIDGE_VERSION}\n`, '']);
  });

  it('--buildinfo prints version, Node.js and platform', async () => {
    const command = start(['--buildinfo']);
    expect(await command.exit()).toBe(0);
    expect(command.stdout).toContain(DOCKBRIDGE_VERSION);
    expect(command.stdout).toContain(process.version);
    expect(command.stdout).toContain(process.arch);
  });

  it('serve --help explains every option, its default and its variable', async () => {
    const command = start(['serve', '--help']);
    expect(await command.exit()).toBe(0);
    const text = command.stdout.replace(/\s+/g, ' ');
    for (const { name } of Object.values<Option<unknown>>(OPTIONS)) {
      expect(text).toContain(`--${name}`);
      expect(text.replaceAll(' ', '')).toContain(`DOCKBRIDGE_${name.toUpperCase().replaceAll('-', '_')}`);
    }
    expect(text).toContain('unix:///var/run/docker.sock');
  });

  it('hand-over --help explains only the options that it uses', async () => {
    const command = start(['hand-over', '--help']);
    expect(await command.exit()).toBe(0);
    const named = [...command.stdout.matchAll(/^ {2}--([a-z-]+)/gm)].map(([, name]) => name);
    expect(named.sort()).toEqual([
      'config',
      'container-logs',
      'cri-dockerd-root-directory',
      'docker-endpoint',
      'dockershim-root-directory',
      'run-dir',
      'sandbox-checkpoints',
      'state-dir',
    ]);
  });

  it("hand-over accepts serve's options, but not --observe", async () => {
    const command = start(['hand-over', ...basics(), '--log-level', 'debug', '--observe']);
    expect(await command.exit()).toBe(1);
    expect(command.stderr).toContain('--observe: has nothing to hand over');
  });

  it('--help names the commands', async () => {
    const command = start(['--help']);
    expect(await command.exit()).toBe(0);
    for (const word of ['serve', 'demo', 'version']) expect(command.stdout).toContain(word);
  });

  it.each([
    ['an unknown flag', ['--no-such-flag'], '--no-such-flag'],
    ['an unknown command', ['no-such-command'], 'there is no command "no-such-command"'],
    ['a flag without its value', ['serve', '--log-level'], '--log-level'],
  ])('%s is refused, with a hint to --help', async (_what, words, text) => {
    const command = start(words);
    expect(await command.exit()).toBe(1);
    expect(command.stderr).toContain(text);
    expect(command.stderr).toContain('--help');
    expect(existsSync(socket())).toBe(false);
  });
});

describe('an invalid value', () => {
  const BAD: [flag: string, value: string][] = [
    ['log-level', 'loud'],
    ['runtime-request-timeout', 'soon'],
    ['runtime-request-timeout', '10'],
    ['runtime-request-timeout', '-1s'],
    ['ipv6-dual-stack', 'maybe'],
    ['network-plugin', 'calico'],
    ['network-plugin-mtu', '-1'],
    ['network-plugin-mtu', '1e3'],
    ['container-log-spool-size', '0'],
    ['container-log-spool-size', '1TB'],
    ['container-log-spool-files', '0'],
    ['container-log-spool-files', '101'],
    ['image-pull-progress-deadline', ''],
    ['docker-endpoint', 'http://engine'],
    ['docker-endpoint', '/var/run/docker.sock'],
    ['pod-infra-container-image', 'A B'],
  ];

  it.each(BAD)('of --%s (%j) ends the command with an error that names the flag', async (flag, value) => {
    const command = start(['serve', ...basics(), `--${flag}=${value}`]);
    expect(await command.exit()).toBe(1);
    expect(command.stderr).toContain(`--${flag}`);
    // One line for people, without a stack.
    expect(command.stderr).not.toMatch(/^\s+at /m);
    expect(existsSync(socket())).toBe(false);
  });

  it.each([
    'relative.sock',
    'tcp://0.0.0.0:1',
    'unix://',
    'npipe:////./pipe/x',
    `unix:///${'x'.repeat(200)}`,
    'fd://',
  ])('of --container-runtime-endpoint (%s) ends the command', async (endpoint) => {
    const command = start(['serve', ...basics(), '--container-runtime-endpoint', endpoint]);
    expect(await command.exit()).toBe(1);
    expect(command.stderr).toMatch(/endpoint|unix socket/);
    expect(command.stderr).not.toMatch(/^\s+at /m);
  });

  it('of a variable leads to an error that names the variable', async () => {
    const command = start(['serve', ...basics()], { DOCKBRIDGE_LOG_LEVEL: 'loud' });
    expect(await command.exit()).toBe(1);
    expect(command.stderr).toContain('DOCKBRIDGE_LOG_LEVEL');
  });
});

describe('options', () => {
  /** cri-dockerd's flags, except --version, --buildinfo and --help. */
  const CRI_DOCKERD = (): Record<string, string> => ({
    'container-runtime-endpoint': `unix://${socket()}`,
    'docker-endpoint': sharedDockerHost(),
    'network-plugin': 'no-op',
    'cni-conf-dir': join(serving.directory, 'net.d'),
    'cni-bin-dir': '/opt/cni/bin,/usr/lib/cni',
    'cni-cache-dir': join(serving.directory, 'cni-cache'),
    'pod-cidr': '10.244.0.0/24',
    'ipv6-dual-stack': 'true',
    'network-plugin-mtu': '1450',
    'hairpin-mode': 'none',
    'pod-infra-container-image': 'dockbridge.local/pause:1',
    'image-pull-progress-deadline': '1m0s',
    'runtime-request-timeout': '1m59s',
    'streaming-bind-addr': '127.0.0.1:0',
    'cri-dockerd-root-directory': join(serving.directory, 'cri-dockerd'),
    'runtime-cgroups': '/system.slice/docker.service',
    'log-level': 'warning',
  });
  const ignored = (): string[] =>
    Object.values<Option<unknown>>(OPTIONS).flatMap((option) =>
      option.ignored === undefined ? [] : [`--${option.name}`],
    );

  it('of cri-dockerd are all accepted, with and without `serve`, and those without effect are named once each', async () => {
    const flags = Object.entries(CRI_DOCKERD()).flatMap(([name, value]) => [`--${name}`, value]);
    const command = start([...flags, '--state-dir', join(serving.directory, 'state'), '--log-level=info']);
    await command.says('Connected to Docker Engine');
    await expectServes();
    const warned = command.log.filter(({ level, option }) => level === 'warn' && option !== undefined);
    const given = Object.keys(CRI_DOCKERD()).map((name) => `--${name}`);
    expect(warned.map(({ option }) => option).sort()).toEqual(
      ignored()
        .filter((name) => given.includes(name))
        .sort(),
    );
    command.signal('SIGTERM');
    expect(await command.exit()).toBe(0);
  });

  it('may be written as --name=value, and boolean ones without a value', async () => {
    const flags = Object.entries(CRI_DOCKERD()).map(([name, value]) => `--${name}=${value}`);
    const command = start([
      'serve',
      ...flags,
      '--state-dir',
      join(serving.directory, 'state'),
      '--log-level=info',
      '--ipv6-dual-stack',
    ]);
    await command.says('Connected to Docker Engine');
    await expectServes();
  });

  it('that are not given cause no warning', async () => {
    const command = await serve();
    expect(command.log.filter(({ option }) => option !== undefined)).toEqual([]);
  });

  it('can be set by variables, and the command line has priority', async () => {
    const other = join(serving.directory, 'other.sock');
    const command = start(
      ['serve', '--container-runtime-endpoint', `unix://${socket()}`, '--log-level', 'info'],
      {
        DOCKBRIDGE_CONTAINER_RUNTIME_ENDPOINT: `unix://${other}`,
        DOCKBRIDGE_DOCKER_ENDPOINT: sharedDockerHost(),
        DOCKBRIDGE_STATE_DIR: join(serving.directory, 'from-variable'),
        DOCKBRIDGE_NETWORK_PLUGIN: 'no-op',
        DOCKBRIDGE_LOG_LEVEL: 'error',
        DOCKBRIDGE_HAIRPIN_MODE: 'none',
      },
    );
    await command.says('Connected to Docker Engine');
    await expectServes();
    expect(existsSync(other)).toBe(false);
    expect(await readdir(serving.directory)).toContain('from-variable');
    expect(command.log.filter(({ option }) => option === '--hairpin-mode')).toHaveLength(1);
  });

  it('let an empty --docker-endpoint use DOCKER_HOST', async () => {
    const command = start(['serve', ...basics(), '--docker-endpoint', ''], {
      DOCKER_HOST: sharedDockerHost(),
    });
    await command.says('Connected to Docker Engine');
    await expectServes();
  });

  it('make the daemon quiet with --log-level error, and log each call with debug', async () => {
    const loud = await serve(['--log-level', 'debug']);
    await expectServes();
    expect(await loud.says('Call')).toMatchObject({ level: 'debug', method: 'Version' });
    const asker = new CriClient(`unix://${socket()}`);
    await expectFailure(asker.call('StartContainer', { container_id: 'gone' }), 'NOT_FOUND');
    asker.close();
    loud.signal('SIGTERM');
    expect(await loud.exit()).toBe(0);
    expect(loud.log).toContainEqual(
      expect.objectContaining({
        message: 'Call',
        method: 'StartContainer',
        code: 'NOT_FOUND',
        container: 'gone',
        error: expect.stringContaining('gone') as string,
      }),
    );
    const quiet = start(['serve', ...basics(), '--log-level', 'error']);
    const client = new CriClient(`unix://${socket()}`);
    // At this log level, no line shows that the daemon serves.
    while (!(await isReady(client))) await delay(100);
    client.close();
    quiet.signal('SIGTERM');
    await quiet.exit();
    expect(quiet.stderr).toBe('');
  });
});

describe('the socket', () => {
  it('has mode 0660 in a directory that is created, and is removed at the end', async () => {
    const command = await serve();
    const stats = await lstat(socket());
    expect([stats.isSocket(), stats.mode & 0o777]).toEqual([true, 0o660]);
    expect(await readdir(join(serving.directory, 'run'))).toEqual(['cri.sock']);
    command.signal('SIGTERM');
    expect(await command.exit()).toBe(0);
    expect(await readdir(join(serving.directory, 'run'))).toEqual([]);
  });

  it('replaces the socket of a killed daemon', async () => {
    const killed = await serve();
    await killed.kill();
    expect(existsSync(socket())).toBe(true);
    await serve();
    await expectServes();
  });

  it.each([
    [
      'its socket',
      () => [
        '--state-dir',
        join(serving.directory, 'other'),
        '--run-dir',
        join(serving.directory, 'other-run'),
      ],
      /another process already answers on .*cri\.sock/,
    ],
    [
      'its state directory',
      () => ['--container-runtime-endpoint', `${socket()}2`],
      /another dockbridge.* uses .*state/,
    ],
    [
      'its handles',
      () => ['--state-dir', join(serving.directory, 'other'), '--container-runtime-endpoint', `${socket()}2`],
      /another dockbridge.* uses .*run-dir: stop it first, or give --run-dir/,
    ],
    ['all of these', () => [], /another/],
  ])(
    'of a live daemon stays when a second daemon that uses %s is refused with the reason',
    async (_what, more, message) => {
      await serve();
      const second = start(['serve', ...basics(), ...more()]);
      expect(await second.exit()).toBe(1);
      expect(second.stderr).toMatch(message);
      expect(second.stderr).not.toMatch(/^\s+at /m);
      await expectServes();
      expect(await readdir(join(serving.directory, 'run'))).toEqual(['cri.sock']);
    },
  );

  it('does not replace another kind of file', async () => {
    const path = join(serving.directory, 'precious');
    await writeFile(path, 'data');
    const command = start(['serve', ...basics(), '--container-runtime-endpoint', path]);
    expect(await command.exit()).toBe(1);
    expect(command.stderr).toContain('not a socket');
    expect((await lstat(path)).size).toBe(4);
  });
});
