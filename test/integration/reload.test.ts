import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { CriClient } from '../../src/server/client/cri-client';
import type { TlsFiles } from '../../src/streaming/certificate';
import { selfSigned } from '../unit/support/certificate';
import type { Command } from './support/command';
import { TEST_IMAGE } from './support/engine';
import { Serving } from './support/serving';

const serving = new Serving();
const { serve, socket } = serving;

const READ = 'The configuration was read again';
const REFUSED = 'Cannot read the configuration again';

const configFile = (): string => join(serving.directory, 'config.yaml');
const write = (...lines: string[]): Promise<void> => writeFile(configFile(), `${lines.join('\n')}\n`);

/** Sends SIGHUP, and resolves with the log line about the result. */
async function reload(command: Command, answer = READ): Promise<object> {
  const before = command.log.filter(({ message }) => message.includes(answer)).length;
  command.signal('SIGHUP');
  return command.says(answer, before);
}

const tlsLines = ({ certFile, keyFile }: TlsFiles): string[] => [
  `streaming-tls-cert-file: ${certFile}`,
  `streaming-tls-private-key-file: ${keyFile}`,
];

/** Returns the name in the certificate that the streaming server sends. */
async function certificateOf(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: Number(new URL(url).port), rejectUnauthorized: false };
    const peer = connect(options, () => {
      resolve(String(peer.getPeerCertificate().subject.CN));
      peer.destroy();
    });
    peer.on('error', reject);
  });
}

/** Makes calls of every kind repeatedly until it is stopped. */
class Load {
  calls = 0;
  readonly failures: unknown[] = [];
  private isStopped = false;
  private readonly clients = Array.from({ length: 3 }, () => new CriClient(`unix://${socket()}`));
  private readonly done: Promise<unknown>;

  constructor(work: (client: CriClient, worker: number) => Promise<void>) {
    this.done = Promise.all(
      this.clients.map(async (client, worker) => {
        while (!this.isStopped) {
          try {
            await work(client, worker);
            this.calls++;
          } catch (error) {
            this.failures.push(error);
          }
        }
      }),
    );
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    await this.done;
    for (const client of this.clients) client.close();
  }
}

describe('SIGHUP', () => {
  it('under load applies log level and certificate, keeps the old values if a file is broken, and fails no call', async () => {
    const [first, second] = [
      await selfSigned(serving.directory, 'first'),
      await selfSigned(serving.directory, 'second'),
    ];
    await write('log-level: info', ...tlsLines(first));
    const command = await serve(['--config', configFile()]);
    const { streaming = '' } = (await command.says('Serving CRI')) as { streaming?: string };
    expect(await certificateOf(streaming)).toBe('first');
    const setUp = new CriClient(`unix://${socket()}`);
    const config = {
      metadata: { name: 'reload', uid: 'reload', namespace: 'test', attempt: 0 },
      log_directory: join(serving.directory, 'logs'),
      linux: {},
    };
    const { pod_sandbox_id } = await setUp.call('RunPodSandbox', { config });
    const { container_id } = await setUp.call('CreateContainer', {
      pod_sandbox_id,
      sandbox_config: config,
      config: {
        metadata: { name: 'main', attempt: 0 },
        image: { image: TEST_IMAGE },
        command: ['sleep', '1000'],
        linux: {},
      },
    });
    await setUp.call('StartContainer', { container_id });

    const load = new Load(async (client, worker) => {
      if (worker === 0) await client.call('ExecSync', { container_id, cmd: ['true'], timeout: 30 });
      await client.call('PodSandboxStatus', { pod_sandbox_id });
      await client.call('ListContainers', {});
      await client.call('ImageStatus', { image: { image: TEST_IMAGE } });
      await client.call('Status', {});
    });
    try {
      for (let round = 0; round < 10; round++) {
        await write('log-level: debug', 'runtime-request-timeout: 90s', ...tlsLines(second));
        await reload(command);
        expect(await certificateOf(streaming)).toBe('second');
        await write('log-level: info', 'cni-timeout: 90s', ...tlsLines(first));
        expect(await reload(command)).toMatchObject({
          changed: [
            '--cni-timeout',
            '--runtime-request-timeout',
            '--log-level',
            '--streaming-tls-cert-file',
            '--streaming-tls-private-key-file',
          ],
        });
        expect(await certificateOf(streaming)).toBe('first');
        await write('log-level: debug', 'cni-timeout: soon', ...tlsLines(second));
        expect(await reload(command, REFUSED)).toMatchObject({
          level: 'error',
          error: `${configFile()}:2: cni-timeout: "soon" is not a time such as 1m30s`,
        });
        await write('log-level: debug', ...tlsLines({ ...first, keyFile: second.keyFile }));
        expect(await reload(command, REFUSED)).toMatchObject({
          error: expect.stringContaining(`${second.keyFile} is not the key of ${first.certFile}`) as string,
        });
        expect(await certificateOf(streaming)).toBe('first');
      }
    } finally {
      await load.stop();
    }
    expect(load.failures).toEqual([]);
    expect(load.calls).toBeGreaterThan(40);
    const calls = command.log.filter(({ level, message }) => level === 'debug' && message === 'Call').length;
    expect(calls).toBeGreaterThan(0);
    // The log level still comes from the last valid file.
    await setUp.call('Version', {});
    expect(command.log.filter(({ message }) => message === 'Call')).toHaveLength(calls);
    await setUp.call('RemovePodSandbox', { pod_sandbox_id });
    setUp.close();
    command.signal('SIGTERM');
    expect(await command.exit()).toBe(0);
  }, 180_000);

  it('names in one line the options that need a restart, and keeps their values', async () => {
    await write('log-level: info');
    const command = await serve(['--config', configFile()]);
    await write('metrics-address: 127.0.0.1:1', 'pod-cidr: 10.9.0.0/24', 'log-level: debug');
    expect(await reload(command)).toMatchObject({ files: [configFile()], changed: ['--log-level'] });
    expect(await command.says('only after a restart')).toMatchObject({
      level: 'warn',
      options: ['--pod-cidr', '--metrics-address'],
    });
    await serving.expectServes();
    await command.says('Call');
  });

  it('does not override a flag or a variable with a file', async () => {
    await write('');
    const command = await serve(['--config', configFile(), '--cni-timeout', '3m'], {
      DOCKBRIDGE_IMAGE_PULL_PROGRESS_DEADLINE: '3m',
    });
    await write('cni-timeout: 4m', 'image-pull-progress-deadline: 4m', 'runtime-request-timeout: 4m');
    expect(await reload(command)).toMatchObject({ changed: ['--runtime-request-timeout'] });
  });
});

describe('a configuration', () => {
  it('with errors prevents the start, and all errors are reported', async () => {
    await write('log-levle: debug', 'cni-timeout: soon');
    const command = serving.start(['serve', ...serving.basics(), '--config', configFile()]);
    expect(await command.exit()).toBe(1);
    expect(command.stderr).toContain(
      `${configFile()}:1: there is no option "log-levle"; the nearest one is log-level`,
    );
    expect(command.stderr).toContain(`${configFile()}:2: cni-timeout: "soon" is not a time`);
    expect(command.stderr).not.toMatch(/^\s+at /m);
  });

  it('applies to hand-over as to serve', async () => {
    await write('observe: true');
    const command = serving.start(['hand-over', ...serving.basics(), '--config', configFile()]);
    expect(await command.exit()).toBe(1);
    expect(command.stderr).toContain('--observe: has nothing to hand over');
  });

  it('with an unknown variable causes a warning at the start', async () => {
    const command = await serve([], { DOCKBRIDGE_LOGLEVEL: 'debug' });
    expect(await command.says('Something in the configuration has no effect')).toMatchObject({
      level: 'warn',
      warning: expect.stringContaining('the nearest one is DOCKBRIDGE_LOG_LEVEL') as string,
    });
  });
});

describe('a variable that overrides a value of the file', () => {
  const env = { DOCKBRIDGE_CNI_TIMEOUT: '50s' };
  const override = () => ({
    file: `${configFile()}:1`,
    fileValue: '40s',
    by: 'DOCKBRIDGE_CNI_TIMEOUT',
    value: '50s',
  });

  it('is logged at the start and at a reload', async () => {
    await write('cni-timeout: 40s');
    const command = await serve(['--config', configFile()], env);
    const message = 'A flag or a variable overrides an option of a configuration file';
    const logged = { level: 'info', message, option: '--cni-timeout', ...override() };
    expect(await command.says(message)).toMatchObject(logged);
    await write('cni-timeout: 45s');
    await reload(command);
    expect(await command.says(message, 1)).toMatchObject({ ...logged, fileValue: '45s' });
  });

  it('is reported as a note by config check, and does not change the exit code', async () => {
    await write('cni-timeout: 40s');
    const args = ['config', 'check', '--config', configFile()];
    const text = serving.start(args, env);
    expect(await text.exit()).toBe(0);
    expect(text.stdout).toBe(
      `note: ${configFile()}:1: cni-timeout: 40s has no effect, because DOCKBRIDGE_CNI_TIMEOUT sets 50s\n` +
        `Read: ${configFile()}. 0 errors, 0 warnings.\n`,
    );
    const json = serving.start([...args, '-o', 'json'], env);
    expect(await json.exit()).toBe(0);
    expect(JSON.parse(json.stdout)).toMatchObject({ overrides: [{ option: 'cni-timeout', ...override() }] });
  });
});

describe('dockbridge config', () => {
  const run = async (args: readonly string[], env = {}) => {
    const command = serving.start(['config', ...args], env);
    return { code: await command.exit(), stdout: command.stdout, stderr: command.stderr };
  };

  it('default prints a file in which check finds no error', async () => {
    const { code, stdout } = await run(['default']);
    expect(code).toBe(0);
    await write(stdout);
    expect(await run(['check', '--config', configFile()])).toEqual({
      code: 0,
      stdout: `Read: ${configFile()}. 0 errors, 0 warnings.\n`,
      stderr: '',
    });
  });

  it('check reports errors with their place, and by its exit code', async () => {
    await write('network-plugin: calico');
    const place = `${configFile()}:1: network-plugin: "calico" is none of auto, cni, no-op`;
    const text = await run(['check', '--config', configFile()]);
    expect([text.code, text.stdout]).toEqual([2, expect.stringContaining(`error: ${place}`)]);
    const json = await run(['check', '--config', configFile(), '-o', 'json']);
    expect(json.code).toBe(2);
    expect(JSON.parse(json.stdout)).toMatchObject({
      files: [configFile()],
      errors: [{ file: configFile(), line: 1 }],
      warnings: [],
    });
    const warned = await run(['check'], { DOCKBRIDGE_LOGLEVEL: 'x' });
    expect([warned.code, warned.stdout]).toEqual([
      1,
      expect.stringContaining('warning: DOCKBRIDGE_LOGLEVEL'),
    ]);
  });

  it('show prints each value with its source, and no password', async () => {
    await write('# one', 'cni-bin-dir: [/a, /b]');
    const args = ['show', '--config', configFile(), '--docker-endpoint', 'tcp://me:secret@host:1'];
    const env = { DOCKBRIDGE_LOG_LEVEL: 'warn' };
    const { code, stdout } = await run(args, env);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^log-level +warn +DOCKBRIDGE_LOG_LEVEL$/m);
    expect(stdout).toMatch(/^state-dir +\/var\/lib\/dockbridge +default$/m);
    expect(stdout).toMatch(new RegExp(`^cni-bin-dir +/a,/b +${configFile()}:2$`, 'm'));
    expect(stdout).toMatch(/^docker-endpoint +tcp:\/\/\*\*\*@host:1 +--docker-endpoint$/m);
    const { options } = JSON.parse((await run([...args, '-o', 'json'], env)).stdout) as { options: object[] };
    expect(options).toContainEqual({
      ...{ option: 'log-level', value: 'warn', from: 'environment' },
      ...{ place: 'DOCKBRIDGE_LOG_LEVEL', reload: 'live' },
    });
  });

  it('show reports the errors when there is nothing to show', async () => {
    await write('a: b');
    const { code, stdout, stderr } = await run(['show', '--config', configFile()]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(`${configFile()}:1: there is no option "a"`);
  });
});
