import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, type Logger } from '../../../src/lib/logger';
import { RunningPlugins } from '../../../src/network/cni/running-plugins';
import { processName } from '../../../src/node/process/process-info';
import { settle } from '../support/async';
import { rejectionOf } from '../support/errors';

const ADD = { sandboxId: 'c1', plugin: 'one', command: 'ADD' };

let directory: string;
const children: ChildProcess[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dockbridge-plugins-'));
  told.length = 0;
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await rm(directory, { recursive: true });
});

function sleeper(env: NodeJS.ProcessEnv = {}): ChildProcess & { pid: number } {
  const child = spawn('sleep', ['1000'], { detached: true, env: { ...process.env, ...env } });
  children.push(child);
  return child as ChildProcess & { pid: number };
}

const told: unknown[] = [];
const note =
  (level: string) =>
  (...line: unknown[]): void =>
    void told.push([level, ...line]);
const logger: Logger = { ...silentLogger, info: note('info'), warn: note('warn') };

async function plugins(patience = 0, killWait = 5_000): Promise<RunningPlugins> {
  const found = new RunningPlugins(directory, logger, { patience, killWait });
  await found.load();
  return found;
}

describe('plugins that a killed daemon left at work', () => {
  it('delay only their own pod, and are killed when they take too long', async () => {
    const child = sleeper();
    await (await plugins()).begin(child.pid, ADD);
    const next = await plugins();
    await next.whenQuiet('c2', undefined);
    expect(child.signalCode).toBeNull();
    const gone = once(child, 'exit');
    await next.whenQuiet('c1', undefined);
    expect(await gone).toEqual([null, 'SIGKILL']);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('are not killed when they end in time', async () => {
    const child = sleeper();
    await (await plugins()).begin(child.pid, ADD);
    const quiet = (await plugins(60_000)).whenQuiet('c1', undefined);
    child.kill('SIGTERM');
    await quiet;
    expect(child.signalCode).toBe('SIGTERM');
  });

  it('delay no caller that has gone', async () => {
    await (await plugins()).begin(sleeper().pid, ADD);
    const gone = AbortSignal.abort(new Error('cancelled'));
    await expect((await plugins(60_000)).whenQuiet('c1', gone)).rejects.toThrow('cancelled');
  });

  it('that cannot be killed are named, and no longer awaited', async () => {
    // This process is not the leader of its group, so our signal to the group misses it. A process that
    // hangs in the kernel would ignore the signal, too.
    const child = spawn('sleep', ['1000']);
    children.push(child);
    await (await plugins()).begin(child.pid!, ADD);
    const next = await plugins(0, 50);
    expect(await rejectionOf(next.whenQuiet('c1', undefined))).toBe(
      `UNAVAILABLE CNI plugin "one" is still running ADD of an earlier call and cannot be killed (process ${child.pid})`,
    );
    expect(await next.settle(new AbortController().signal)).toBe(false);
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
    await next.whenQuiet('c1', undefined);
    expect(await next.settle(new AbortController().signal)).toBe(true);
  });
});

describe('the records of running plugins', () => {
  it('contain all data that the next daemon needs, for root alone', async () => {
    const { pid } = sleeper();
    const name = (await processName(pid))!;
    // The directory and its parent are both missing.
    const above = directory;
    directory = join(above, 'run/plugins');
    await (await plugins()).begin(pid, ADD);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    const [file = '', ...more] = readdirSync(directory);
    expect([file, more]).toEqual([name.split(' ').slice(0, 2).join('-'), []]);
    const text = readFileSync(join(directory, file), 'utf8');
    expect(JSON.parse(text)).toEqual({ ...ADD, pid, process: name });
    expect(statSync(join(directory, file)).mode & 0o777).toBe(0o600);
    await plugins();
    directory = above;
    expect(told).toEqual([['info', 'CNI plugins of an earlier run are still running', { pids: [pid] }]]);
  });

  it.each([
    ['no pid', { process: 'x' }],
    ['a pid that is no number', { pid: '77', process: 'x' }],
    ['the pid of init', { pid: 1, process: 'x' }],
    ['an impossible pid', { pid: -1, process: 'x' }],
  ])('with %s are discarded', async (_, body) => {
    writeFileSync(join(directory, 'odd'), JSON.stringify({ ...ADD, ...body }));
    await plugins();
    expect([readdirSync(directory), told]).toEqual([[], []]);
  });

  it('are not written for a process that has ended', async () => {
    const child = sleeper();
    child.kill('SIGKILL');
    await once(child, 'exit');
    const onEnd = await (await plugins()).begin(child.pid, ADD);
    await onEnd(false);
    expect(readdirSync(directory)).toEqual([]);
  });
});

it("a process with a plugin's environment, or with a reused pid, is ignored", async () => {
  const child = sleeper({ CNI_NETNS: '/run/dockbridge/netns/x', CNI_COMMAND: 'ADD' });
  const body = { ...ADD, pid: child.pid, process: `${child.pid} 1 another-boot` };
  writeFileSync(join(directory, `${child.pid}-1`), JSON.stringify(body));
  writeFileSync(join(directory, 'half'), '{"pid":');
  expect(await (await plugins()).settle(new AbortController().signal)).toBe(true);
  expect([child.signalCode, readdirSync(directory)]).toEqual([null, []]);
});

describe('the time limit for plugins that were left behind', () => {
  let now: number;
  let kill: jest.SpyInstance;
  beforeEach(() => {
    now = 1_000;
    jest.spyOn(performance, 'now').mockImplementation(() => now);
    kill = jest.spyOn(process, 'kill').mockReturnValue(true);
  });
  afterEach(() => jest.restoreAllMocks());

  it.each([
    ['by default', {}, 10_000, 5_000],
    ['with given times', { patience: 300, killWait: 200 }, 300, 200],
  ])('%s has two stages', async (_, times, patience, killWait) => {
    const child = sleeper();
    await (await plugins()).begin(child.pid, ADD);
    const next = new RunningPlugins(directory, logger, times);
    await next.load();
    let outcome: string | undefined;
    void rejectionOf(next.whenQuiet('c1', undefined)).then((why) => (outcome = why));
    const looks = async (): Promise<void> => {
      const end = Date.now() + 100;
      while (Date.now() < end) await settle();
    };
    now += patience - 1;
    await looks();
    expect(kill).not.toHaveBeenCalled();
    now += 1;
    while (kill.mock.calls.length === 0) await settle();
    expect(kill.mock.calls[0]).toEqual([-child.pid, 'SIGKILL']);
    now += killWait - 1;
    await looks();
    expect(outcome).toBeUndefined();
    now += 1;
    while (outcome === undefined) await settle();
    expect(outcome).toMatch(/^UNAVAILABLE CNI plugin "one" is still running ADD/);
  });
});

describe('our own plugins', () => {
  it('leave no record once they have ended', async () => {
    const own = await plugins();
    const onEnd = await own.begin(sleeper().pid, ADD);
    expect(readdirSync(directory)).toHaveLength(1);
    await onEnd(true);
    expect(readdirSync(directory)).toEqual([]);
    await own.whenQuiet('c1', undefined);
  });

  it('are awaited if they did not end although they were killed', async () => {
    const own = await plugins(60_000);
    const child = sleeper();
    const onEnd = await own.begin(child.pid, ADD);
    await onEnd(false);
    const quiet = own.whenQuiet('c1', undefined);
    child.kill('SIGTERM');
    await quiet;
    expect(child.signalCode).toBe('SIGTERM');
  });

  it('run even if no record can be written, which is logged once', async () => {
    await rm(directory, { recursive: true });
    writeFileSync(directory, '');
    const own = await plugins(60_000);
    for (let time = 0; time < 2; time++) await (await own.begin(sleeper().pid, ADD))(true);
    const why = { directory, error: expect.stringMatching(/EEXIST|ENOTDIR/) as string };
    expect(told).toEqual([['warn', 'Cannot record running CNI plugins', why]]);
    const child = sleeper();
    await (
      await own.begin(child.pid, ADD)
    )(false);
    const quiet = own.whenQuiet('c1', undefined);
    child.kill('SIGKILL');
    await quiet;
  });

  it('are ignored while they run normally', async () => {
    const own = await plugins(0, 0);
    await own.begin(sleeper().pid, ADD);
    await own.whenQuiet('c1', undefined);
    expect(await own.settle(new AbortController().signal)).toBe(true);
    expect(children.map(({ signalCode }) => signalCode)).toEqual([null]);
  });
});
