import { reload, Reloads } from '../../../src/cli/reload';
import type { Configuration } from '../../../src/config/configuration';
import { LiveSettings } from '../../../src/config/live-settings';
import { resolveSettings, type Given } from '../../../src/config/options';
import { silentLogger } from '../../../src/lib/logger';

const configuration = (given: Given): Configuration => ({
  ...{ settings: resolveSettings(given, {}), files: ['/c.yaml'], values: {}, warnings: [], ignored: [] },
  overrides: [],
});

/**
 * Reloads a daemon that runs with the defaults, and returns the log and the effects of the reload with
 * `next`.
 */
async function reloaded(next: () => Promise<Configuration>, takeUp: () => void, refuse?: string) {
  const said: unknown[] = [];
  const say = (level: string) => (message: string, fields?: object) => said.push([level, message, fields]);
  const levels: string[] = [];
  const live = new LiveSettings(resolveSettings({}, {}));
  await reload({
    read: next,
    live,
    daemon: {
      prepareReload: () =>
        refuse === undefined ? Promise.resolve(takeUp) : Promise.reject(new Error(refuse)),
    },
    logger: {
      ...silentLogger,
      ...{ info: say('info'), warn: say('warn'), error: say('error') },
      setLevel: (level) => levels.push(level),
    },
  });
  return { said, levels, settings: live.settings };
}

describe('reload', () => {
  it('applies the settings that may change, and names those that need a restart in one line', async () => {
    const takeUp = jest.fn();
    const next = configuration({ 'log-level': 'debug', 'state-dir': '/x', 'run-dir': '/y' });
    const { said, levels, settings } = await reloaded(() => Promise.resolve(next), takeUp);
    expect(takeUp).toHaveBeenCalledTimes(1);
    expect([levels, settings.logLevel, settings.stateDir]).toEqual([
      ['debug'],
      'debug',
      '/var/lib/dockbridge',
    ]);
    expect(said).toEqual([
      ['info', expect.any(String), { files: ['/c.yaml'], changed: ['--log-level'] }],
      ['warn', expect.stringContaining('restart'), { options: ['--state-dir', '--run-dir'] }],
    ]);
  });

  it('says which values of files have no effect', async () => {
    const override = { file: '/c.yaml:1', fileValue: 'debug', by: 'DOCKBRIDGE_LOG_LEVEL', value: 'warn' };
    const next = { ...configuration({}), overrides: [{ option: 'log-level', ...override }] };
    const { said } = await reloaded(() => Promise.resolve(next), jest.fn());
    expect(said).toContainEqual([
      'info',
      'A flag or a variable overrides an option of a configuration file',
      { option: '--log-level', ...override },
    ]);
  });

  it.each([
    [
      'a file that is broken',
      () => Promise.reject(new Error('/c.yaml:3: broken')),
      undefined,
      '/c.yaml:3: broken',
    ],
    [
      'an unusable certificate',
      () => Promise.resolve(configuration({ 'log-level': 'debug' })),
      '/cert.pem is not a certificate',
      '/cert.pem is not a certificate',
    ],
  ])('changes nothing for %s, and says where the mistake is', async (_, next, refuse, error) => {
    const takeUp = jest.fn();
    const { said, levels, settings } = await reloaded(next, takeUp, refuse);
    expect(takeUp).not.toHaveBeenCalled();
    expect([levels, settings.logLevel]).toEqual([[], 'info']);
    expect(said).toEqual([['error', expect.any(String), { error }]]);
  });
});

describe('Reloads', () => {
  it('wait for a listener, run one at a time, and share a second reload when several requests arrive meanwhile', async () => {
    const ends: (() => void)[] = [];
    const work = jest.fn(() => new Promise<void>((resolve) => ends.push(resolve)));
    const settle = () => new Promise((resolve) => setImmediate(resolve));
    const reloads = new Reloads();
    reloads.request();
    reloads.request();
    reloads.begin(work);
    expect(work).toHaveBeenCalledTimes(1);
    reloads.request();
    reloads.request();
    expect(work).toHaveBeenCalledTimes(1);
    ends[0]?.();
    await settle();
    expect(work).toHaveBeenCalledTimes(2);
    ends[1]?.();
    await settle();
    expect(work).toHaveBeenCalledTimes(2);
    reloads.request();
    expect(work).toHaveBeenCalledTimes(3);
  });
});
