import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Logger, silentLogger } from '../../../src/lib/logger';
import { notifySystemd, Watchdog, watchdogInterval, type WatchedPart } from '../../../src/node/systemd';
import { until } from '../support/async';

describe('notifySystemd', () => {
  let directory: string;
  let complaints: unknown[];
  let logger: Logger;
  let env: NodeJS.ProcessEnv;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'notify-'));
    complaints = [];
    logger = { ...silentLogger, warn: (message, fields) => void complaints.push([message, fields]) };
    env = { PATH: `${directory}:/bin:/usr/bin`, NOTIFY_SOCKET: '/run/notify.sock' };
  });

  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  /** A systemd-notify that records its arguments. */
  async function install(exitCode: number): Promise<() => Promise<string>> {
    const log = join(directory, 'log');
    const script = `#!/bin/sh\necho "$NOTIFY_SOCKET $@" >>${log}\nexit ${exitCode}\n`;
    await writeFile(join(directory, 'systemd-notify'), script, { mode: 0o755 });
    return () => readFile(log, 'utf8').catch(() => '');
  }

  it.each(['--ready', 'STOPPING=1', 'WATCHDOG=1'] as const)('sends %s for our own process', async (state) => {
    const calls = await install(0);
    expect(await notifySystemd(state, logger, env)).toBe(true);
    expect(await calls()).toBe(`/run/notify.sock ${state} --pid=${process.pid}\n`);
    expect(complaints).toEqual([]);
  });

  it('does nothing without systemd', async () => {
    const calls = await install(0);
    delete env.NOTIFY_SOCKET;
    expect(await notifySystemd('--ready', logger, env)).toBe(true);
    expect([await calls(), complaints]).toEqual(['', []]);
  });

  it('only logs a failure', async () => {
    await install(1);
    expect(await notifySystemd('--ready', logger, env)).toBe(false);
    expect(complaints).toEqual([['Cannot notify systemd', expect.objectContaining({ state: '--ready' })]]);
  });

  it('only logs that the command is missing', async () => {
    env.PATH = directory;
    await notifySystemd('--ready', logger, env);
    expect(JSON.stringify(complaints)).toContain('ENOENT');
  });
});

describe('watchdogInterval', () => {
  it.each([
    ['a limit for this process', { WATCHDOG_USEC: '120000000', WATCHDOG_PID: '7' }, 30_000],
    ['a limit without a named process', { WATCHDOG_USEC: '120000000' }, 30_000],
    ['a limit for another process', { WATCHDOG_USEC: '120000000', WATCHDOG_PID: '8' }, undefined],
    ['a unit without WatchdogSec=', {}, undefined],
    ['an invalid limit', { WATCHDOG_USEC: 'soon' }, undefined],
    ['a limit of zero', { WATCHDOG_USEC: '0' }, undefined],
  ])('for %s (%j) returns %s', (_what, env, expected) => {
    expect(watchdogInterval(env, 7)).toBe(expected);
  });
});

describe('Watchdog', () => {
  let problem: string | undefined;
  let signs: number;
  let looks: number;
  let said: string[];
  let watchdog: Watchdog;

  beforeEach(() => {
    [problem, signs, looks, said] = [undefined, 0, 0, []];
    const say = (message: string, fields?: object): number =>
      said.push(`${message} ${JSON.stringify(fields)}`);
    const logger: Logger = { ...silentLogger, error: say, info: say };
    const well: WatchedPart = { name: 'well', problem: () => Promise.resolve(undefined) };
    const part: WatchedPart = {
      name: 'part',
      problem: () => {
        looks++;
        return problem === 'throws' ? Promise.reject(new Error('broken')) : Promise.resolve(problem);
      },
    };
    const notify = (): Promise<boolean> => {
      signs++;
      return Promise.resolve(true);
    };
    watchdog = new Watchdog({ intervalMs: 1, parts: [well, part], notify, logger });
    watchdog.start();
  });
  afterEach(() => watchdog.stop());

  const more = async (count: () => number): Promise<void> => {
    const before = count();
    await until(() => count() > before + 1);
  };

  it('sends signs of life at intervals', async () => {
    await more(() => signs);
    expect(said).toEqual([]);
  });

  it.each([
    ['does not answer', 'hangs', 'part: hangs'],
    ['fails', 'throws', 'part: broken'],
  ])(
    'sends nothing while a part %s, logs that once, and continues when the part answers',
    async (_what, trouble, words) => {
      await more(() => signs);
      problem = trouble;
      await more(() => looks);
      const before = signs;
      await more(() => looks);
      expect(signs).toBe(before);
      expect(said).toEqual([expect.stringContaining(words)]);
      problem = undefined;
      await more(() => signs);
      expect(said).toHaveLength(2);
    },
  );

  it('ends when it is stopped', async () => {
    await more(() => signs);
    await watchdog.stop();
    const before = looks;
    await new Promise((resolve) => setImmediate(resolve));
    expect(looks).toBe(before);
  });
});

describe('Watchdog with a fake clock', () => {
  const INTERVAL = 30_000;
  let watchdog: Watchdog | undefined;
  let said: string[];
  const start = (parts: WatchedPart[], notify: () => Promise<boolean>): void => {
    const logger: Logger = { ...silentLogger, error: (_, fields) => said.push(JSON.stringify(fields)) };
    watchdog = new Watchdog({ intervalMs: INTERVAL, parts, notify, logger });
    watchdog.start();
  };

  beforeEach(() => {
    said = [];
    jest.useFakeTimers();
  });
  afterEach(async () => {
    await watchdog?.stop();
    jest.useRealTimers();
  });

  it('soon retries a sign that could not be sent, until it is sent', async () => {
    let canFork = false;
    let tried = 0;
    let sent = 0;
    start([], () => {
      tried++;
      sent += canFork ? 1 : 0;
      return Promise.resolve(canFork);
    });
    await jest.advanceTimersByTimeAsync(0);
    expect(tried).toBe(1);
    await jest.advanceTimersByTimeAsync(2 * INTERVAL + 10_000);
    expect(tried).toBeGreaterThan(20);
    canFork = true;
    await jest.advanceTimersByTimeAsync(3_000);
    expect(sent).toBe(1);
    await jest.advanceTimersByTimeAsync(3_000);
    expect(sent).toBe(1);
    await jest.advanceTimersByTimeAsync(INTERVAL);
    expect(sent).toBe(2);
  });

  it('asks a part that does not answer once, counts it as dead meanwhile, and accepts its late answer', async () => {
    let asked = 0;
    let signs = 0;
    let answer!: () => void;
    const part: WatchedPart = {
      name: 'part',
      problem: () => {
        asked++;
        return new Promise((resolve) => (answer = () => resolve(undefined)));
      },
    };
    start([part], () => Promise.resolve(++signs > 0));
    await jest.advanceTimersByTimeAsync(3 * INTERVAL);
    expect([asked, signs]).toEqual([1, 0]);
    expect(said).toEqual([expect.stringContaining('part: has not answered for 30 s')]);
    answer();
    await jest.advanceTimersByTimeAsync(0);
    expect(signs).toBe(1);
    await jest.advanceTimersByTimeAsync(INTERVAL);
    expect(asked).toBe(2);
  });

  it('accepts the result of a part whose own limit is as long as the interval', async () => {
    const part: WatchedPart = {
      name: 'part',
      problem: () => new Promise((resolve) => setTimeout(() => resolve('its own words'), INTERVAL)),
    };
    start([part], () => Promise.resolve(true));
    await jest.advanceTimersByTimeAsync(INTERVAL);
    expect(said).toEqual([expect.stringContaining('part: its own words')]);
  });

  it('checks once in each interval, however long a check takes', async () => {
    let looks = 0;
    const slow: WatchedPart = {
      name: 'slow',
      problem: () => {
        looks++;
        return new Promise((resolve) => setTimeout(() => resolve(undefined), INTERVAL / 2));
      },
    };
    start([slow], () => Promise.resolve(true));
    await jest.advanceTimersByTimeAsync(4 * INTERVAL - 1);
    expect(looks).toBe(4);
  });

  it('does not report a check that the end of the watchdog interrupts', async () => {
    start([{ name: 'part', problem: () => new Promise(() => undefined) }], () => Promise.resolve(true));
    await watchdog?.stop();
    expect(said).toEqual([]);
  });
});
