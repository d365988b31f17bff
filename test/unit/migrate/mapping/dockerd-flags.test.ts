import { dockerdFlags } from '../../../../src/migrate/mapping/dockerd-flags';

const settings = (...args: string[]) => dockerdFlags(args).map(({ path, value }) => [path.join('.'), value]);

describe('dockerdFlags', () => {
  it('reads a value after an equals sign and in the next argument', () => {
    expect(settings('--data-root=/a', '--group', 'ops')).toEqual([
      ['data-root', '/a'],
      ['group', 'ops'],
    ]);
  });

  it('reads a switch without a value', () => {
    expect(settings('--debug', '-H', 'fd://', '--icc=false', '-D')).toEqual([
      ['debug', true],
      ['hosts', ['fd://']],
      ['icc', false],
    ]);
  });

  it('joins the values of a repeated flag under the key of daemon.json', () => {
    expect(settings('--registry-mirror', 'https://a', '--registry-mirror=https://b', '-Hfd://')).toEqual([
      ['registry-mirrors', ['https://a', 'https://b']],
      ['hosts', ['fd://']],
    ]);
  });

  it('reads pairs into the maps of daemon.json', () => {
    expect(
      settings(
        '--log-opt=max-size=10m',
        '--default-ulimit=nofile=1024:2048',
        '--default-ulimit=core=0',
        '--add-runtime=kata=/usr/bin/kata',
        '--add-runtime=runsc=io.containerd.runsc.v1',
        '--feature=cdi=false',
        '--feature=x',
        '--default-network-opt=bridge=com.docker.network.driver.mtu=1400',
      ),
    ).toEqual([
      ['log-opts.max-size', '10m'],
      ['default-ulimits.nofile', { Name: 'nofile', Soft: 1024, Hard: 2048 }],
      ['default-ulimits.core', { Name: 'core', Soft: 0, Hard: 0 }],
      ['runtimes.kata.path', '/usr/bin/kata'],
      ['runtimes.runsc.runtimeType', 'io.containerd.runsc.v1'],
      ['features.cdi', false],
      ['features.x', true],
      ['default-network-opts.bridge.com.docker.network.driver.mtu', '1400'],
    ]);
  });

  it('reads numbers, proxies and flags that it does not know', () => {
    expect(
      settings('--mtu=1400', '--http-proxy=http://p', '--frobnicate=x', '--config-file=/d.json'),
    ).toEqual([
      ['mtu', 1400],
      ['proxies.http-proxy', 'http://p'],
      ['frobnicate', 'x'],
    ]);
  });
});
