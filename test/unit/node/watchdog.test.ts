import { silentLogger, type Logger } from '../../../src/lib/logger';
import { Watchdog, watchdogInterval, type WatchedPart } from '../../../src/node/watchdog';
import { until } from '../support/async';

describe('watchdogInterval', () => {
  it.each([
    ['a quarter of what systemd waits', { WATCHDOG_USEC: '120000000', WATCHDOG_PID: '7' }, 30_000],
    ['without a process named', { WATCHDOG_USEC: '120000000' }, 30_000],
    ["another process's, inherited", { WATCHDOG_USEC: '120000000', WATCHDOG_PID: '8' }, undefined],
    ['a unit without WatchdogSec=', {}, undefined],
    ['nonsense', { WATCHDOG_USEC: 'soon' }, undefined],
    ['zero', { WATCHDOG_USEC: '0' }, undefined],
  ])('%s', (_what, env, expected) => {
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
    const notify = (): Promise<void> => {
      signs++;
      return Promise.resolve();
    };
    watchdog = new Watchdog({ intervalMs: 1, parts: [well, part], notify, logger });
    watchdog.start();
  });
  afterEach(() => watchdog.stop());

  const more = async (count: () => number): Promise<void> => {
    const before = count();
    await until(() => count() > before + 1);
  };

  it('tells that we live, again and again', async () => {
    await more(() => signs);
    expect(said).toEqual([]);
  });

  it.each([
    ['does not answer', 'hangs', 'part: hangs'],
    ['fails to be looked at', 'throws', 'part: broken'],
  ])(
    'is silent while a part %s, says so once, and goes on when it answers',
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
