import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { silentLogger } from '../../src/lib/logger';
import { SignsOfLife } from '../../src/node/systemd';
import { until } from '../unit/support/async';
import { Command } from './support/command';

const run = promisify(execFile);
const HELPER = join(__dirname, '../../dist/notify-helper');
const PIDS = '/sys/fs/cgroup/pids';

jest.setTimeout(300_000);

let directory: string;
let socket: string;
let listener: ChildProcess;
/** The messages as systemd would receive them, in the form `PID MESSAGE`. */
let heard: string[];
let wake: () => void = () => undefined;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-notify-'));
  socket = join(directory, 'notify.sock');
  const program = join(directory, 'listener');
  await run('gcc', ['-o', program, join(__dirname, 'support/notify-listener.c')]);
  heard = [];
  listener = spawn(program, [socket], { stdio: ['ignore', 'pipe', 'inherit'] });
  createInterface({ input: listener.stdout! }).on('line', (line) => {
    heard.push(line);
    wake();
  });
  await hears(() => heard.length > 0);
  heard = [];
});
afterEach(async () => {
  const gone = once(listener, 'exit');
  listener.kill('SIGKILL');
  await gone;
  await rm(directory, { recursive: true, force: true });
});

async function hears(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise<void>((resolve) => (wake = resolve));
}

/** A daemon that has no Engine, and must send systemd a sign of life each second. */
function startDaemon(through: readonly string[] = []): Command {
  const place = (name: string): string => join(directory, name);
  return new Command(
    [
      ...['serve', '--container-runtime-endpoint', `unix://${place('cri.sock')}`],
      ...['--docker-endpoint', `unix://${place('no-engine.sock')}`, '--network-plugin', 'no-op'],
      ...['--state-dir', place('state'), '--run-dir', place('run')],
      ...['--cri-dockerd-root-directory', place('cri-dockerd')],
    ],
    { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '1000000' },
    through,
  );
}

const signsOf = (daemon: Command): number =>
  heard.filter((line) => line === `${daemon.pid} WATCHDOG=1`).length;
const moreSigns = async (daemon: Command, count: number): Promise<void> => {
  const before = signsOf(daemon);
  await hears(() => signsOf(daemon) >= before + count);
};

/** Returns the pids of the processes that run the helper for a daemon. */
async function helpersOf(daemon: Command): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const exe = await readlink(`/proc/${pid}/exe`).catch(() => '');
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
      return exe === HELPER && stat.includes(` S ${daemon.pid} `) ? [pid] : [];
    }),
  );
  return found.flat();
}

it('the helper is one process that speaks for the daemon, and ends with it', async () => {
  const daemon = startDaemon();
  try {
    await moreSigns(daemon, 3);
    const helpers = await helpersOf(daemon);
    expect(helpers).toHaveLength(1);
    await moreSigns(daemon, 3);
    expect(await helpersOf(daemon)).toEqual(helpers);
    // A unit with NotifyAccess=main accepts them too, because the kernel passes on the daemon's pid.
    const signs = heard.filter((line) => line.includes('WATCHDOG'));
    expect(new Set(signs)).toEqual(new Set([`${daemon.pid} WATCHDOG=1`]));
    await daemon.kill();
    await until(() => !existsSync(`/proc/${helpers[0]}`), 'the end of the helper');
  } finally {
    await daemon.kill();
  }
});

it('the helper is started again after it was killed', async () => {
  const daemon = startDaemon();
  try {
    await moreSigns(daemon, 1);
    const [first] = await helpersOf(daemon);
    process.kill(Number(first), 'SIGKILL');
    await moreSigns(daemon, 3);
    const [second] = await helpersOf(daemon);
    expect(second).toBeDefined();
    expect(second).not.toBe(first);
    daemon.signal('SIGTERM');
    expect(await daemon.exit()).toBe(0);
    expect(heard.join(' ')).toContain('STOPPING=1');
  } finally {
    await daemon.kill();
  }
});

// The pids controller has a hierarchy of its own only on cgroup v1.
(existsSync(PIDS) ? it : it.skip)('a sign of life reaches systemd while the node cannot fork', async () => {
  const group = join(PIDS, `dockbridge-notify-${process.pid}`);
  await mkdir(group);
  const daemon = startDaemon(['sh', '-c', `echo $$ >${group}/cgroup.procs; exec "$@"`, 'sh']);
  try {
    await moreSigns(daemon, 2);
    // The limit is below the present number, so that no process can start even if some end.
    await writeFile(join(group, 'pids.max'), '1');
    await moreSigns(daemon, 12);
    // The systemd-notify command could not send the message, because it needs a fork.
    await expect(
      run('sh', ['-c', `echo $$ >${group}/cgroup.procs; systemd-notify WATCHDOG=1; true`]),
    ).rejects.toThrow(/[Ff]ork/);
  } finally {
    await daemon.kill();
    await until(() => readFileSync(join(group, 'cgroup.procs'), 'utf8') === '', 'the end of the helper');
    await rmdir(group);
  }
});

it("the helper refuses an address that no socket can have, and reports the socket's errors", async () => {
  const told: string[] = [];
  const logger = {
    ...silentLogger,
    info: (_: string, fields?: object) => void told.push(JSON.stringify(fields)),
  };
  // This PATH has no systemd-notify, so only the helper can send.
  const sign = async (address: string): Promise<boolean> => {
    const signs = new SignsOfLife(HELPER, logger, { PATH: directory, NOTIFY_SOCKET: address });
    try {
      return await signs.send();
    } finally {
      signs.end();
    }
  };
  expect(await sign(`/${'long'.repeat(30)}`)).toBe(false);
  expect(await sign(join(directory, 'nobody.sock'))).toBe(false);
  expect(told).toEqual([
    expect.stringContaining('the notify helper ended: exit code 2'),
    expect.stringContaining('ENOENT'),
  ]);
  expect(await sign(socket)).toBe(true);
  await hears(() => heard.length > 0);
  expect(heard).toEqual([`${process.pid} WATCHDOG=1`]);
});
