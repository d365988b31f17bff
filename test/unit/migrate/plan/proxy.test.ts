import type { NodeFacts } from '../../../../src/migrate/facts';
import { dockerProxy, proxyFindings } from '../../../../src/migrate/plan/proxy';
import { nodeFacts } from './node-facts';

const UNIT = '/etc/systemd/system/docker.service.d/proxy.conf';

function nodeWith(HttpProxy: string, originals: Readonly<Record<string, string>> = {}) {
  const plain = nodeFacts({ files: { [UNIT]: 'redacted' } });
  const facts: NodeFacts = {
    ...plain,
    engine: { ...plain.engine!, info: { HttpProxy } as never },
    processes: { programs: [{ name: 'dockerd', pid: 12, args: [] }], socketClients: [] },
  };
  return (merged = {}) => dockerProxy(facts, merged, (path) => originals[path]);
}

describe('dockerProxy', () => {
  it('prefers a proxy of the settings to one of the environment', () => {
    const proxies = { 'http-proxy': 'http://me:geheim@a', 'no-proxy': 'x' };
    expect(nodeWith('http://xxxxx:xxxxx@a')({ proxies })).toEqual({
      proxy: { http: 'http://me:geheim@a', https: '', no: 'x' },
      missing: [],
    });
  });

  it.each([
    ['the environment of dockerd', { '/proc/12/environ': 'A=b@c\0HTTP_PROXY=http://me:g=h@p:3128\0' }],
    ['a flag of dockerd', { '/proc/12/cmdline': 'dockerd\0--http-proxy=http://me:g=h@p:3128\0' }],
    ['a flag and its value', { '/proc/12/cmdline': 'dockerd\0--http-proxy\0http://me:g=h@p:3128\0' }],
    ['a unit', { [UNIT]: '[Service]\nEnvironment="HTTP_PROXY=http://me:g=h@p:3128/" "X=y"\n' }],
  ])('finds the password in %s', (_, originals) => {
    for (const shown of ['http://[removed]@p:3128', 'http://xxxxx:xxxxx@p:3128'])
      expect(nodeWith(shown, originals)().proxy.http).toMatch(/^http:\/\/me:g=h@p:3128\/?$/);
  });

  it('finds a password that is escaped for systemd', () => {
    const unit = '[Service]\nEnvironment=HTTP_PROXY=http://me:a%%21b@p\n';
    expect(['http://me:a%%21b@p', 'http://me:a%21b@p']).toContain(
      nodeWith('http://[removed]@p', { [UNIT]: unit })().proxy.http,
    );
  });

  it('takes no password of another proxy, and reports the one that is missing', () => {
    const found = nodeWith('http://[removed]@p', { [UNIT]: 'Environment=HTTP_PROXY=http://me:geheim@q' })();
    expect(found).toEqual({
      proxy: { http: '', https: '', no: '' },
      missing: [{ variable: 'HTTP_PROXY', shown: 'http://[removed]@p' }],
    });
    expect(proxyFindings(found, 'containerd')).toMatchObject([
      { id: 'proxy', severity: 'change', evidence: [{ what: 'HTTP_PROXY http://[removed]@p' }] },
    ]);
  });

  it('knows that a proxy without a user has no password', () => {
    const found = nodeWith('http://p:3128')();
    expect(found).toMatchObject({ proxy: { http: 'http://p:3128' }, missing: [] });
    expect(proxyFindings(found, 'crio')).toEqual([]);
  });
});
