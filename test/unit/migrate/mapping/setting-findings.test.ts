import { settingFindings } from '../../../../src/migrate/mapping/setting-findings';

const findings = (text: string, target?: 'containerd' | 'cri-o') =>
  settingFindings({ file: { path: '/etc/docker/daemon.json', text } }, target);

describe('settingFindings', () => {
  it('is empty for a node without daemon.json', () => {
    expect(settingFindings({})).toEqual([]);
    expect(findings('')).toEqual([]);
    expect(findings('\uFEFF{}')).toEqual([]);
  });

  it.each(['{"debug": tru', '[]', '"x"'])('blocks for a daemon.json that is %j', (text) => {
    expect(findings(text)).toMatchObject([
      { id: 'daemon-json-broken', severity: 'block', evidence: [{ where: '/etc/docker/daemon.json' }] },
    ]);
  });

  it('quotes nothing from a daemon.json that is not JSON', () => {
    expect(JSON.stringify(findings('{"proxies": {"http-proxy": "http://u:geheim@p"}'))).not.toContain(
      'geheim',
    );
  });

  it('describes both targets when none is named', () => {
    expect(findings('{"storage-driver":"overlay2"}')[0]!.summary).toBe(
      'On containerd, the setting "storage-driver" becomes the snapshotter overlayfs. ' +
        'On CRI-O, the setting "storage-driver" becomes the storage driver overlay.',
    );
    expect(findings('{"storage-driver":"overlay2"}', 'cri-o')[0]!.summary).toBe(
      'The setting "storage-driver" becomes the storage driver overlay.',
    );
  });

  it('has the severity of the worse target when none is named', () => {
    expect(findings('{"log-driver":"journald"}')[0]!.severity).toBe('change');
    expect(findings('{"log-driver":"journald"}', 'containerd')[0]!.severity).toBe('review');
  });

  it('has one finding for a key with several names, with a line for each', () => {
    const text = '{\n"log-opts": {\n"env": "a",\n"labels": "b"\n}}';
    expect(findings(text)).toMatchObject([
      {
        id: 'setting-log-opts',
        evidence: [
          { where: '/etc/docker/daemon.json:3', what: 'log-opts.env: a' },
          { where: '/etc/docker/daemon.json:4', what: 'log-opts.labels: b' },
        ],
      },
    ]);
  });

  it('reports unknown keys, and what they may stand for', () => {
    const [finding] = findings('{"registry-mirror": ["https://m"], "http-proxy": "x", "frobnicate": 1}');
    expect(finding).toMatchObject({ id: 'setting-unknown', severity: 'review' });
    expect(finding!.evidence.map(({ what }) => what)).toEqual([
      'registry-mirror: ["https://m"]',
      'http-proxy: x',
      'frobnicate: 1',
    ]);
    expect(finding!.advice).toContain('"registry-mirror" may stand for "registry-mirrors".');
    expect(finding!.advice).toContain('"http-proxy" may stand for "proxies.http-proxy".');
  });

  it('reports an unknown key below a known one', () => {
    expect(findings('{"runtimes": {"kata": {"paht": "/x"}}}')[0]!.evidence[0]!.what).toBe(
      'runtimes.kata.paht: /x',
    );
    expect(findings('{"proxies": {"ftp-proxy": "x"}}')[0]!.id).toBe('setting-unknown');
  });

  it('shows no password of a proxy and no token of a log driver', () => {
    const shown = JSON.stringify(
      findings(
        '{"proxies": {"http-proxy": "http://user:geheim@proxy:1"}, "log-opts": {"splunk-token": "geheim"}, "x": "http://geheim@h"}',
      ),
    );
    expect(shown).not.toContain('geheim');
    expect(shown).toContain('http://user:***@proxy:1');
  });

  it('blocks for an API over TCP and not for local sockets', () => {
    expect(findings('{"hosts": ["fd://", "tcp://0.0.0.0:2375"]}')[0]!.severity).toBe('block');
    expect(findings('{"hosts": ["fd://"]}')[0]!.severity).toBe('ok');
  });

  it('reports flags of dockerd like settings', () => {
    expect(
      settingFindings({ arguments: ['--registry-mirror=https://m', '-s', 'btrfs'] }, 'containerd'),
    ).toMatchObject([
      {
        id: 'setting-registry-mirrors',
        severity: 'change',
        evidence: [
          { where: "dockerd's argument --registry-mirror", what: 'registry-mirrors: ["https://m"]' },
        ],
      },
      { id: 'setting-storage-driver', evidence: [{ what: 'storage-driver: btrfs' }] },
    ]);
  });
});
