import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ChildDaemon } from './support/child-daemon';
import { TEST_IMAGE } from './support/engine';

const run = promisify(execFile);
const PODS = 4;
/** NARROW_PER_POD=15 makes 60 containers. */
const PER_POD = Number(process.env.NARROW_PER_POD ?? 4);
const TICKER = 'n=0; while :; do echo "line $n"; n=$((n+1)); sleep 2; done';
const PIDS = '/sys/fs/cgroup/pids';
const GROUP = join(PIDS, `dockbridge-narrow-${process.pid}`);

// The tests start dozens of containers, and processes one after the other.
jest.setTimeout(300_000);

interface Running {
  readonly id: string;
  readonly logPath: string;
}

let daemon: ChildDaemon;
let running: Running[] = [];

beforeAll(async () => {
  daemon = await ChildDaemon.start();
  running = (await Promise.all(Array.from({ length: PODS }, (_, at) => makePod(`pod-${at}`)))).flat();
});
afterAll(async () => {
  await daemon.kill9();
  daemon.through = [];
  await daemon.launch();
  await daemon.stop();
});

async function makePod(name: string): Promise<Running[]> {
  const log_directory = join(daemon.logDirectory, name);
  const sandbox_config = {
    metadata: { name, uid: name, namespace: 'narrow', attempt: 0 },
    log_directory,
    linux: {},
  };
  const { pod_sandbox_id } = await daemon.client.call('RunPodSandbox', { config: sandbox_config });
  const made: Running[] = [];
  for (let at = 0; at < PER_POD; at++) {
    const config = {
      metadata: { name: `c${at}`, attempt: 0 },
      image: { image: TEST_IMAGE },
      command: ['/bin/sh', '-c', TICKER],
      log_path: `c${at}.log`,
      linux: {},
    };
    const request = { pod_sandbox_id, config, sandbox_config };
    const { container_id } = await daemon.client.call('CreateContainer', request);
    await daemon.client.call('StartContainer', { container_id });
    made.push({ id: container_id, logPath: join(log_directory, `c${at}.log`) });
  }
  return made;
}

async function restartThrough(...through: string[]): Promise<void> {
  await daemon.terminate();
  daemon.through = through;
  await daemon.launch();
}

/** Returns how many open files of the daemon match. */
async function held(pattern: RegExp): Promise<number> {
  const { stdout } = await run('find', [`/proc/${daemon.pid}/fd`, '-printf', '%l\n']);
  return stdout.split('\n').filter((target) => pattern.test(target)).length;
}

const threads = async (): Promise<number> => (await readdir(`/proc/${daemon.pid}/task`)).length;

async function runtimeReady() {
  const { status } = await daemon.client.call('Status', {});
  return status?.conditions.find(({ type }) => type === 'RuntimeReady');
}

const WELL = { status: true, reason: '', message: '' };

/** Returns the number of lines. Throws unless each line occurs once and in order. */
async function linesOf({ logPath }: Running): Promise<number> {
  const lines = (await readFile(logPath, 'latin1')).split('\n').slice(0, -1);
  const wrong = lines.findIndex((line, at) => !line.endsWith(` stdout F line ${at}`));
  if (wrong >= 0) throw new Error(`line ${wrong} of ${logPath} reads "${lines[wrong]}"`);
  return lines.length;
}

async function logsGrow(): Promise<void> {
  const before = await Promise.all(running.map(linesOf));
  for (;;) {
    const now = await Promise.all(running.map(linesOf));
    if (now.every((lines, at) => lines > (before[at] ?? 0))) return;
    await delay(250);
  }
}

/** Expects lists, stats and exec to work, but not logs. */
async function answers(): Promise<void> {
  expect((await daemon.client.call('ListContainers', {})).containers).toHaveLength(running.length);
  const { stats } = await daemon.client.call('ListContainerStats', {});
  expect(stats.filter(({ memory }) => memory !== null)).toHaveLength(running.length);
  const [one] = running;
  const request = { container_id: one?.id ?? '', cmd: ['echo', 'hello'] };
  expect((await daemon.client.call('ExecSync', request)).stdout.toString()).toBe('hello\n');
}

async function serves(): Promise<void> {
  await answers();
  await logsGrow();
  expect(await runtimeReady()).toMatchObject(WELL);
}

const complaints = (): string[] =>
  daemon.log.filter(({ level }) => level === 'warn' || level === 'error').map(({ message }) => message);

it.each([256, 1_024])(
  'a daemon serves with at most %i open files, and warns that they are few',
  async (limit) => {
    await restartThrough('prlimit', `--nofile=${limit}:${limit}`);
    await serves();
    expect(await held(/^\/sys\/fs\/cgroup\//)).toBeLessThanOrEqual(limit / 8);
    expect(complaints()).toEqual([
      'The limit of open files is low; with many containers, logs and calls will fail',
    ]);
  },
);

it('a daemon that may open no more files continues, and catches up later', async () => {
  await restartThrough('prlimit', '--nofile=256:20000');
  await serves();
  const open = await held(/./);
  await run('prlimit', ['--pid', String(daemon.pid), `--nofile=${open - 40}:20000`]);
  // The files that the daemon has open still work.
  expect((await daemon.client.call('ListContainers', {})).containers).toHaveLength(running.length);
  expect(await runtimeReady()).toMatchObject({ type: 'RuntimeReady' });
  await run('prlimit', ['--pid', String(daemon.pid), '--nofile=20000:20000']);
  await serves();
});

(existsSync(PIDS) ? it : it.skip)(
  'a daemon serves everything but logs when no thread can be started, and catches up later',
  async () => {
    await restartThrough();
    await serves();
    // All threads except those for logs and disks. With fewer, Node.js itself does not start.
    const fewest = (await threads()) - 2;
    await mkdir(GROUP);
    try {
      await writeFile(join(GROUP, 'pids.max'), String(fewest));
      await restartThrough('sh', '-c', `echo $$ > ${GROUP}/cgroup.procs; exec "$@"`, 'sh');
      await answers();
      const message = expect.stringMatching(/^cannot start a thread .*TasksMax/) as string;
      expect(await runtimeReady()).toMatchObject({ status: true, reason: 'LogsWithoutThread', message });
      // The daemon logs this once, for any number of containers.
      expect(complaints().filter((words) => /log/i.test(words))).toEqual(['Container logs are not written']);
      expect(complaints().length).toBeLessThan(4);
      await writeFile(join(GROUP, 'pids.max'), 'max');
      await daemon.says('The log worker runs again; logs are catching up');
      await serves();
    } finally {
      await daemon.kill9();
      await rmdir(GROUP);
    }
  },
);
