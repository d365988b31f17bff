import { redactArguments, redactJson, redactText } from '../../../../src/doctor/bundle/redact';

const SECRET = 'hunter2hunter2';

describe('A bundle without secrets', () => {
  it.each([
    ['a password in a URL', `proxy http://user:${SECRET}@proxy:3128/ is used`],
    ['a token as a flag', `kubelet --bootstrap-token ${SECRET} --v=4`],
    ['a token as a flag with =', `kubelet --token=${SECRET}`],
    ['a password as a key', `db_password: ${SECRET}`],
    ['a secret as a variable', `exec AWS_SECRET_ACCESS_KEY=${SECRET} run`],
    ['JSON in a log', `{"message":"pull","auth":"${SECRET}","x":1}`],
    ['JSON in JSON', `{"body":"{\\"identitytoken\\":\\"${SECRET}\\"}"}`],
    ['a header', `Authorization: Bearer ${SECRET}`],
    ['a header of Basic', `sent basic ${SECRET}`],
    ['a header for registries', `X-Registry-Auth: ${SECRET}`],
    ['a token of a service account', `got eyJhbGciOiJ.${SECRET}.x from it`],
    ['a quoted value with blanks', `password="one ${SECRET} two"`],
    [
      'a container that kubelet cannot start',
      `Unhandled Error: container &Container{Name:app,Env:[]EnvVar{EnvVar{Name:A,Value:x,${SECRET},},},} start failed`,
    ],
    ['a key', `-----BEGIN RSA PRIVATE KEY-----\n${SECRET}\n-----END RSA PRIVATE KEY-----`],
    ['a key that is cut off', `-----BEGIN PRIVATE KEY-----\n${SECRET}`],
  ])('takes out %s', (_, text) => {
    expect(text).toContain(SECRET);
    const redacted = redactText(text);
    expect(redacted).not.toContain(SECRET);
    expect(redacted).toContain('[removed]');
  });

  it.each([
    'level=info msg="Loading containers: done." storage-driver=overlay2',
    '2026-01-01T00:00:00+0000 node dockbridge[12]: {"message":"Serving CRI","address":"unix:///run/x.sock"}',
    'failed to pull docker.io/library/busybox@sha256:abcd: not found',
    'dockbridge_cri_calls_total{method="RunPodSandbox",code="OK"} 1',
  ])('leaves the rest as it is: %s', (text) => expect(redactText(text)).toBe(text));

  it('takes values under keys that say so, and leaves where secrets are', () => {
    expect(
      redactJson({
        auths: { 'registry:5000': { auth: SECRET } },
        proxies: { 'http-proxy': `http://u:${SECRET}@p` },
        staticPodURLHeader: { 'X-Any': [SECRET] },
        policy: { k8s_auth_token: SECRET, type: 'k8s' },
        nested: [{ password: SECRET, user: 'me' }, `token=${SECRET}`],
        authorization: { mode: 'Webhook' },
        tlsPrivateKeyFile: '/etc/key.pem',
        tokenRequestTimeout: '5s',
        secret: '',
        enableToken: true,
      }),
    ).toEqual({
      auths: '[removed]',
      proxies: { 'http-proxy': 'http://[removed]@p' },
      staticPodURLHeader: '[removed]',
      policy: { k8s_auth_token: '[removed]', type: 'k8s' },
      nested: [{ password: '[removed]', user: 'me' }, 'token=[removed]'],
      authorization: { mode: 'Webhook' },
      tlsPrivateKeyFile: '/etc/key.pem',
      tokenRequestTimeout: '5s',
      secret: '',
      enableToken: true,
    });
  });

  it('takes values of environment variables, in all the ways they are written', () => {
    expect(
      redactJson({
        Env: ['HOME=/root', `PLAIN=${SECRET}\n${SECRET}`, 'BARE'],
        env: [{ name: 'A', value: SECRET, valueFrom: { x: SECRET } }],
        environment: { A: SECRET },
      }),
    ).toEqual({
      Env: ['HOME=[removed]', 'PLAIN=[removed]', 'BARE'],
      env: [{ name: 'A', value: '[removed]', valueFrom: '[removed]' }],
      environment: { A: '[removed]' },
    });
  });

  it('takes values of flags, in the same word or the next', () => {
    expect(
      redactArguments([
        '--token',
        SECRET,
        `--db-password=${SECRET}`,
        '-v',
        '2',
        '--kubeconfig=/etc/k',
        '--token',
        '--x',
      ]),
    ).toEqual([
      '--token',
      '[removed]',
      '--db-password=[removed]',
      '-v',
      '2',
      '--kubeconfig=/etc/k',
      '--token',
      '--x',
    ]);
  });
});
