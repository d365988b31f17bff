import { credentialFacts } from '../../../../src/migrate/gather/credentials';
import { fileFacts } from '../../../../src/migrate/gather/redacted';

describe('fileFacts', () => {
  it('keeps a file without secrets as it is', () => {
    const text = 'authorization:\n  mode: Webhook\n';
    expect(fileFacts('/var/lib/kubelet/config.yaml', text)).toMatchObject({ text, isRedacted: false });
  });

  it('removes secrets, and keeps the number of lines and valid JSON', () => {
    const text = JSON.stringify(
      {
        proxies: { 'http-proxy': 'http://me:planted-1@proxy:3128' },
        'log-opts': { 'splunk-token': 'planted-2', 'max-size': '10m' },
        debug: true,
      },
      null,
      2,
    );
    const { text: kept, isRedacted, sha256 } = fileFacts('/etc/docker/daemon.json', text);
    expect(kept).not.toMatch(/planted/);
    expect(kept.split('\n')).toHaveLength(text.split('\n').length);
    expect(JSON.parse(kept)).toMatchObject({ debug: true, 'log-opts': { 'max-size': '10m' } });
    expect(isRedacted).toBe(true);
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  it('leaves valid JSON if the file has only one line', () => {
    const text = '{"log-opts":{"splunk-token":"planted-1","a":["x"]},"auth-token":"planted-2"}';
    const { text: kept } = fileFacts('/etc/docker/daemon.json', text);
    expect(kept).not.toMatch(/planted/);
    expect(JSON.parse(kept)).toMatchObject({ 'log-opts': { a: ['x'] } });
  });

  it('removes a private key, line by line', () => {
    const text = 'a\n-----BEGIN RSA PRIVATE KEY-----\nplanted\n-----END RSA PRIVATE KEY-----\nb';
    expect(fileFacts('/etc/x', text).text.split('\n')).toEqual([
      'a',
      '[removed]',
      '[removed]',
      '[removed]',
      'b',
    ]);
  });

  it('leaves valid TOML values', () => {
    const text = '[plugins.x.auth]\n  password = "planted"\n';
    expect(fileFacts('/etc/containerd/config.toml', text).text).toBe(
      '[plugins.x.auth]\n  password = "[removed]"\n',
    );
  });
});

describe('credentialFacts', () => {
  it('keeps only the names of registries and helpers', () => {
    const facts = credentialFacts(
      JSON.stringify({
        auths: { 'r.example': { auth: 'cGxhbnRlZDpwbGFudGVk' }, 'empty.example': {} },
        credsStore: 'pass',
        credHelpers: { 'gcr.io': 'gcloud' },
      }),
    );
    expect(facts).toEqual({
      registries: ['r.example'],
      helpers: { '': 'pass', 'gcr.io': 'gcloud' },
      problem: '',
    });
  });

  it('reads the old form', () => {
    expect(credentialFacts('{"r.example":{"auth":"x","email":"e"}}').registries).toEqual(['r.example']);
  });

  it('does not quote a broken file', () => {
    expect(credentialFacts('{"auths": planted')).toEqual({
      registries: [],
      helpers: {},
      problem: 'is not a JSON object',
    });
  });
});
