import { LiveSettings } from '../../../src/config/live-settings';
import { OPTIONS, resolveSettings, type Given, type Option } from '../../../src/config/options';

const settings = (given: Given = {}) => resolveSettings(given, {});

describe('LiveSettings', () => {
  it('has all settings', () => expect({ ...new LiveSettings(settings()).settings }).toEqual(settings()));

  it('applies the live options, keeps the others, and names both', () => {
    const live = new LiveSettings(settings());
    const seen = live.settings;
    const next = { 'log-level': 'debug', 'cni-timeout': '3s', 'state-dir': '/other', 'cni-bin-dir': '/a,/b' };
    expect(live.replace(settings(next))).toEqual({
      changed: ['--cni-timeout', '--log-level'],
      needRestart: ['--state-dir', '--cni-bin-dir'],
    });
    expect(seen).toMatchObject({
      logLevel: 'debug',
      cniTimeout: 3_000,
      stateDir: '/var/lib/dockbridge',
      cniBinDir: ['/opt/cni/bin'],
    });
  });

  it('names the options that need a restart at each reload, and none when nothing differs', () => {
    const live = new LiveSettings(settings());
    const next = settings({ 'registry-config': '/a,/b', 'state-dir': '/other' });
    expect(live.replace(next).changed).toEqual(['--registry-config']);
    expect(live.replace(next)).toEqual({ changed: [], needRestart: ['--state-dir'] });
    expect(live.replace(settings({ 'registry-config': '/a,/b' }))).toEqual({ changed: [], needRestart: [] });
  });

  it('applies another certificate, but needs a restart to switch TLS on or off', () => {
    const tls = (name: string) =>
      settings({
        'streaming-tls-cert-file': `/${name}.crt`,
        'streaming-tls-private-key-file': `/${name}.key`,
      });
    const names = ['--streaming-tls-cert-file', '--streaming-tls-private-key-file'];
    const live = new LiveSettings(tls('a'));
    expect(live.replace(tls('b'))).toEqual({ changed: names, needRestart: [] });
    expect(live.settings.streamingTlsCertFile).toBe('/b.crt');
    expect(live.replace(settings())).toEqual({ changed: [], needRestart: names });
    expect(live.settings.streamingTlsCertFile).toBe('/b.crt');
    expect(new LiveSettings(settings()).replace(tls('a'))).toEqual({ changed: [], needRestart: names });
  });
});

it('exactly these options are live, because the code reads each of them when it needs it', () => {
  const live = Object.values<Option<unknown>>(OPTIONS).filter(({ reload }) => reload === 'live');
  expect(live.map(({ name }) => name).sort()).toEqual([
    'cni-timeout',
    'image-pull-progress-deadline',
    'log-level',
    'registry-config',
    'runtime-request-timeout',
    'streaming-tls-cert-file',
    'streaming-tls-private-key-file',
  ]);
});
