import { readdir, readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseCri } from '../unit/logs/support/log-room';
import { ChildDaemon } from './support/child-daemon';
import { Command } from './support/command';
import { engineLeftovers, sharedDockerHost, TEST_IMAGE } from './support/engine';
import { EngineProxy } from './support/engine-proxy';

const TAKEN = 'Another dockbridge serves this Docker Engine; waiting for it to end';
// Ten lines at a time, because each sleep is a process, which is slow on a busy machine.
const TICKER =
  'n=0; while :; do for i in 0 1 2 3 4 5 6 7 8 9; do echo "line $n"; n=$((n+1)); done; usleep 20000; done';

// Up to four processes start one after the other, which takes a long time on a busy machine.
jest.setTimeout(300_000);

let proxy: EngineProxy;
let first: ChildDaemon;
let daemons: ChildDaemon[] = [];

beforeEach(async () => {
  proxy = await EngineProxy.start(sharedDockerHost());
  first = await start();
});
afterEach(async () => {
  for (const daemon of daemons) await daemon.kill9();
  const last = await ChildDaemon.start();
  await last.stop();
  for (const daemon of daemons) await daemon.discard();
  daemons = [];
  await proxy.stop();
  expect(await engineLeftovers(sharedDockerHost())).toEqual([]);
});

async function start(...more: Parameters<typeof ChildDaemon.start>): Promise<ChildDaemon> {
  const daemon = await ChildDaemon.start(...more);
  daemons.push(daemon);
  return daemon;
}

interface Pod {
  readonly container: string;
  readonly logPath: string;
}

async function ticker(): Promise<Pod> {
  const log_directory = join(first.logDirectory, 'pod');
  const sandbox = {
    metadata: { name: 'pod', uid: 'uid', namespace: 'two', attempt: 0 },
    log_directory,
    linux: {},
  };
  const { pod_sandbox_id } = await first.client.call('RunPodSandbox', { config: sandbox });
  const { container_id } = await first.client.call('CreateContainer', {
    pod_sandbox_id,
    sandbox_config: sandbox,
    config: {
      metadata: { name: 'ticker', attempt: 0 },
      image: { image: TEST_IMAGE },
      command: ['/bin/sh', '-c', TICKER],
      log_path: 'ticker.log',
      linux: {},
    },
  });
  await first.client.call('StartContainer', { container_id });
  return { container: container_id, logPath: join(log_directory, 'ticker.log') };
}

/** Resolves with the number of lines when there are `more` than `before`. Each must be there once and in order. */
async function grown({ logPath }: Pod, before: number, more = 50): Promise<number> {
  for (;;) {
    const text = await readFile(logPath, 'latin1');
    const lines = parseCri(text.slice(0, text.lastIndexOf('\n') + 1)).map((line) => line.text);
    // Only the first wrong line is printed, because whole logs have thousands of lines.
    const wrong = lines.findIndex((line, at) => line !== `line ${at}`);
    if (wrong >= 0)
      throw new Error(`line ${wrong} reads "${lines[wrong]}":\n${daemons.map(lastWords).join('\n\n')}`);
    if (lines.length >= before + more) return lines.length;
    await delay(100);
  }
}

const lastWords = (daemon: ChildDaemon): string => `${daemon.endpoint}\n${daemon.lastWords()}`;

async function runtimeReady({ client }: ChildDaemon): Promise<object | undefined> {
  const { status } = await client.call('Status', {});
  return status?.conditions.find(({ type }) => type === 'RuntimeReady');
}

async function page({ directory }: ChildDaemon, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ socketPath: join(directory, 'run/metrics.sock'), path }, (reply) => {
      let text = `${reply.statusCode}\n`;
      reply.setEncoding('utf8');
      reply.on('data', (part: string) => (text += part));
      reply.on('end', () => resolve(text));
    })
      .on('error', reject)
      .end();
  });
}

describe.each([
  ['the same way', () => sharedDockerHost()],
  ['another way', () => proxy.dockerHost],
])('a second daemon with directories of its own that reaches the Engine in %s', (_, dockerHost) => {
  it('is refused, names the first daemon, and changes nothing', async () => {
    const pod = await ticker();
    const second = await start([], dockerHost(), TAKEN);
    const who = `process ${first.pid}, run directory ${first.directory}/run, socket ${first.endpoint}`;
    const message = expect.stringContaining(who) as string;
    expect(await runtimeReady(second)).toMatchObject({ status: false, reason: 'EngineTaken', message });
    expect(await page(second, '/healthz')).toMatch(/^503\n[^]*\[-\]engine failed: another dockbridge/);
    expect(await page(second, '/metrics')).toMatch(/^dockbridge_engine_up 0$/m);
    const config = { metadata: { name: 'pod2', uid: 'uid2', namespace: 'two', attempt: 0 }, linux: {} };
    await expect(second.client.call('RunPodSandbox', { config })).rejects.toMatchObject({
      message: expect.stringContaining(who) as string,
    });
    await expect(second.client.call('ListContainers', {})).rejects.toMatchObject({ details: message });
    await grown(pod, 100);
    expect(second.log.filter(({ message: text }) => text === TAKEN)).toHaveLength(1);
    expect(second.log.filter(({ level }) => level === 'error')).toEqual([]);
    expect(await runtimeReady(first)).toMatchObject({ status: true });
  });

  it.each([
    ['was stopped', () => first.terminate()],
    ['was killed', () => first.kill9()],
  ])('serves once the first daemon %s, which then waits itself', async (__, end) => {
    const pod = await ticker();
    const second = await start([], dockerHost(), TAKEN);
    const before = await grown(pod, 0);
    await end();
    await second.says('The other dockbridge has ended; this one serves Docker Engine now');
    await second.says();
    expect(await runtimeReady(second)).toMatchObject({ status: true });
    const after = await grown(pod, before);
    // The first daemon still has positions in logs that now belong to the second one.
    await first.launch(TAKEN);
    await grown(pod, after, 100);
    await second.kill9();
    await first.says();
    await grown(pod, after, 200);
  });
});

it('a daemon that observes claims nothing, and is not refused', async () => {
  const pod = await ticker();
  const watcher = await start(['--observe']);
  expect(await runtimeReady(watcher)).toMatchObject({ status: true });
  expect((await watcher.client.call('ListContainers', {})).containers).toHaveLength(1);
  await first.terminate();
  await first.launch();
  expect(await runtimeReady(first)).toMatchObject({ status: true });
  await grown(pod, 0, 100);
});

it('hand-over without the daemon’s own directories is refused', async () => {
  const other = join(first.directory, 'other');
  const command = new Command([
    ...['hand-over', '--docker-endpoint', proxy.dockerHost, '--run-dir', join(other, 'run')],
    ...['--state-dir', join(other, 'state')],
  ]);
  expect(await command.exit()).toBe(1);
  expect(command.stderr).toContain(`process ${first.pid}, run directory ${first.directory}/run`);
  expect(await runtimeReady(first)).toMatchObject({ status: true });
});

it('a daemon that ends leaves no claim behind', async () => {
  const claims = async (): Promise<string[]> =>
    (await readdir('/run/dockbridge/engines')).filter((name) => name.split('.')[1] === String(first.pid));
  expect(await claims()).toHaveLength(2);
  await first.terminate();
  expect(await claims()).toEqual([]);
});
