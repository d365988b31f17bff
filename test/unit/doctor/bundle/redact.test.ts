import {
  redactArguments,
  redactJson,
  redactText,
  replaceUserinfo,
} from '../../../../src/doctor/bundle/redact';

const SECRET = 'hunter2hunter2';

describe('redaction', () => {
  it.each([
    ['a password in a URL', `proxy http://user:${SECRET}@proxy:3128/ is used`],
    ['a token in a flag', `kubelet --bootstrap-token ${SECRET} --v=4`],
    ['a token in a flag with =', `kubelet --token=${SECRET}`],
    ['a password as the value of a key', `db_password: ${SECRET}`],
    ['a secret in a variable', `exec AWS_SECRET_ACCESS_KEY=${SECRET} run`],
    ['a secret in JSON in a log', `{"message":"pull","auth":"${SECRET}","x":1}`],
    ['a secret in JSON in JSON', `{"body":"{\\"identitytoken\\":\\"${SECRET}\\"}"}`],
    ['a token in a header', `Authorization: Bearer ${SECRET}`],
    ['the credentials of Basic authentication', `sent basic ${SECRET}`],
    ['the credentials in a header for registries', `X-Registry-Auth: ${SECRET}`],
    ['a service account token', `got eyJhbGciOiJ.${SECRET}.x from it`],
    ['a quoted value with spaces', `password="one ${SECRET} two"`],
    [
      'an environment variable of a container that kubelet cannot start',
      `Unhandled Error: container &Container{Name:app,Env:[]EnvVar{EnvVar{Name:A,Value:x,${SECRET},},},} start failed`,
    ],
    ['a private key', `-----BEGIN RSA PRIVATE KEY-----\n${SECRET}\n-----END RSA PRIVATE KEY-----`],
    ['a truncated private key', `-----BEGIN PRIVATE KEY-----\n${SECRET}`],
    [
      'the environment in a create request to dockerd',
      `level=debug msg="form data: {\\"Cmd\\":[\\"run\\"],\\"Env\\":[\\"PLAIN=${SECRET}\\"]}"`,
    ],
    [
      'the environment in a create request to a newer dockerd',
      `msg="handling POST request" form-data="{\\"Env\\":[\\"PLAIN=${SECRET}\\"]}" method=POST`,
    ],
    ['an environment in JSON', `{"Env":["A=[\\"x\\"]","PLAIN=a]${SECRET}"],"Cmd":[]}`],
    ['an environment in JSON in JSON', `"{\\"Env\\":[\\"A=b\\",\\"PLAIN=${SECRET}\\"]}"`],
    ['a truncated environment', `{"Env":["A=b","PLAIN=${SECRET}`],
    ['an environment variable of Kubernetes', `{"env":[{"name":"A","value":"${SECRET}"}],"image":"i"}`],
    ['a password under a short name', `DB_PASS=${SECRET}`],
    ['a PostgreSQL password', `PGPASS=${SECRET}`],
    ['a MySQL password', `MYSQL_PWD=${SECRET}`],
    ['a password in a DSN of keywords', `Server=h;Uid=u;Pwd=${SECRET};`],
    ['a password in a DSN', `DATABASE_DSN=u:${SECRET}@tcp(db:3306)/x`],
    ['a WireGuard key', `psk: ${SECRET}`],
    ['a client key in a kubeconfig', `client-key-data: ${SECRET}`],
    ['an IPsec key', `presharedKey=${SECRET}`],
    ['an encryption key in a configuration', `encryptionKey: "${SECRET}"`],
    ['an Azure signature', `GET https://h/layer?sv=1&sig=${SECRET}&x=1`],
    ['an S3 signature', `GET https://h/layer?X-Amz-Signature=${SECRET}&x=1`],
    ['a password for curl', `exec curl -u user:${SECRET} https://h/`],
    ['a quoted password for curl', `exec curl --user "user:a ${SECRET}" https://h/`],
    ['a password for curl in JSON', `"Cmd":["curl","-u","user:${SECRET}","https://h/"]`],
    ['a password with an @ in a URL', `proxy http://user:p@${SECRET}@proxy:3128/ is used`],
    ["a password with a ' in a URL", `proxy http://user:pa'${SECRET}@proxy:3128/ is used`],
    ['a password with a ? in a URL', `proxy http://user:pa?${SECRET}@proxy:3128/ is used`],
  ])('removes %s', (_, text) => {
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
    'signal: terminated, design: x, bypass-rules: y, compassion: z, stop-signal=15',
    'docker run -u 1000:1000 image; journalctl -u docker: nothing',
    'mount file:///a@b and https://h/v2/a@sha256:1, mail a@b',
    '{"Env":[],"Cmd":["a"]}',
  ])('leaves other text unchanged: %s', (text) => expect(redactText(text)).toBe(text));

  it('keeps the text before and after a secret', () => {
    expect(redactText('a http://u:p@q@h:1/x?a=b@c d')).toBe('a http://[removed]@h:1/x?a=b@c d');
    expect(redactText('Environment="HTTPS_PROXY=u:p@q@h:1" X')).toBe(
      'Environment="HTTPS_PROXY=[removed]@h:1" X',
    );
    expect(redactText('{"Env":["A=b"],"Cmd":["c"]}')).toBe('{"Env":[removed],"Cmd":["c"]}');
    expect(redactText('msg="form data: {x}"\nnext')).toBe('msg="form data: [removed]\nnext');
    expect(redactText('curl -u u:p https://h/')).toBe('curl -u [removed] https://h/');
  });

  it('removes the user of a proxy without a scheme', () => {
    expect(redactJson({ HttpProxy: 'u:p@h:1', NoProxy: 'a@b' })).toEqual({
      HttpProxy: '[removed]@h:1',
      NoProxy: 'a@b',
    });
    expect(redactArguments(['--https-proxy', 'u:p@h:1', '--http-proxy=u:p@h:2'])).toEqual([
      '--https-proxy',
      '[removed]@h:1',
      '--http-proxy=[removed]@h:2',
    ]);
  });

  // A regular expression that starts a new search at each character would take minutes.
  it.each(
    [
      [
        'a',
        'a.',
        '-u',
        '-u a:',
        '\\',
        '\\"',
        '"Env":["',
        '"Env":[',
        '://',
        'a://',
        'a.b://c',
        '//a@',
        '@',
        '//',
        ':',
        'pass',
        'sig',
        'pass=',
        'http_proxy=',
      ],
      [
        '-u "',
        '-u "a:',
        'form data',
        'eyJ',
        'eyJaaaaa.',
        '-----BEGIN ',
        'bearer ',
        '--pass ',
        'pass="',
        'pass="\\',
      ],
    ].flat(),
  )('finishes a megabyte of %j within seconds', (part) => {
    const text = part.repeat(Math.ceil((1 << 20) / part.length));
    const begun = process.cpuUsage();
    redactText(text);
    const { user, system } = process.cpuUsage(begun);
    expect((user + system) / 1e6).toBeLessThan(5);
  });

  it('hides values under keys with secret names, and keeps references to secrets', () => {
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
        users: [{ 'client-key-data': SECRET, 'client-certificate-data': 'c' }],
        ipsec: { psk: SECRET, presharedKey: SECRET, encryptionKey: SECRET, encryption: 'aes' },
        db: { pass: SECRET, dbPwd: SECRET, dsn: SECRET, sig: SECRET, signature: SECRET },
        stopSignal: 'SIGTERM',
        bypassed: 1,
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
      users: [{ 'client-key-data': '[removed]', 'client-certificate-data': 'c' }],
      ipsec: {
        ...{ psk: '[removed]', presharedKey: '[removed]', encryptionKey: '[removed]' },
        encryption: 'aes',
      },
      db: {
        ...{ pass: '[removed]', dbPwd: '[removed]', dsn: '[removed]' },
        ...{ sig: '[removed]', signature: '[removed]' },
      },
      stopSignal: 'SIGTERM',
      bypassed: 1,
    });
  });

  it('hides values of environment variables in every notation', () => {
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

  it('hides the values of flags with secret names, in the same argument or in the next', () => {
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

it.each([
  ['tcp://u:p@h:2376', 'tcp://***@h:2376'],
  ['tcp://u:p@ss@h:2376', 'tcp://***@h:2376'],
  ["tcp://u:pa'ss;,!@h", 'tcp://***@h'],
  ['http://u:p@a/x@y and http://v:q@b', 'http://***@a/x@y and http://***@b'],
  ['"http://a","b@c"', '"http://a","b@c"'],
  ['http://a b@c', 'http://a b@c'],
  ['unix:///run/a@b.sock', 'unix:///run/a@b.sock'],
  ['https://h/v2/a@sha256:1', 'https://h/v2/a@sha256:1'],
])('replaceUserinfo turns %j into %j', (text, shown) => expect(replaceUserinfo(text, '***')).toBe(shown));

it('replaceUserinfo inserts the replacement literally, even if it contains $1', () =>
  expect(replaceUserinfo('a://b@c', '$1')).toBe('a://$1@c'));
