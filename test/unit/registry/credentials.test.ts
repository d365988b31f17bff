import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../../src/lib/logger';
import {
  credentialSource,
  parseDockerConfig,
  parseHelperAnswer,
  RegistryCredentials,
  registryHost,
} from '../../../src/registry/credentials';
import { parseReference, registryOf } from '../../../src/translate/image/reference';

const { signal } = new AbortController();
const IMAGE = parseReference('registry.test/app:1', 'image');

let directory: string;
beforeEach(async () => (directory = await mkdtemp(join(tmpdir(), 'dockbridge-'))));
afterEach(() => rm(directory, { recursive: true }));

async function config(name: string, content: string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, content);
  return path;
}

/** Returns the credentials that were found, and the log fields about files that caused trouble. */
async function find(...files: string[]) {
  const trouble: unknown[] = [];
  const logger = {
    ...silentLogger,
    warn: (_message: string, fields?: object) => void trouble.push({ ...fields }),
  };
  return { auth: await new RegistryCredentials(files, logger).find(IMAGE, signal), trouble };
}

const KNOWS = JSON.stringify({
  auths: { 'registry.test': { auth: Buffer.from('me:secret').toString('base64') } },
});

describe('RegistryCredentials', () => {
  it('are read from the new files when the list of files changes', async () => {
    let files = [await config('other', '{"auths":{}}')];
    const credentials = new RegistryCredentials(() => files, silentLogger);
    expect(await credentials.find(IMAGE, signal)).toBeUndefined();
    files = [await config('knows', KNOWS)];
    expect(await credentials.find(IMAGE, signal)).toMatchObject({ username: 'me' });
  });

  it('come from the first file that has the registry', async () => {
    const files = [await config('other', '{"auths":{}}'), await config('knows', KNOWS)];
    expect(await find(...files)).toEqual({
      auth: expect.objectContaining({ username: 'me', password: 'secret' }) as object,
      trouble: [],
    });
  });

  it('are empty without a file, which causes no warning', async () => {
    expect(await find(join(directory, 'absent'))).toEqual({ auth: undefined, trouble: [] });
  });

  it.each([
    { desc: 'invalid JSON', make: () => config('bad', '{') },
    { desc: 'too large', make: () => config('huge', `"${'x'.repeat(1 << 20)}"`) },
    { desc: 'endless', make: () => Promise.resolve('/dev/zero') },
    {
      desc: 'a pipe without a writer',
      make: () => {
        execFileSync('mkfifo', [join(directory, 'pipe')]);
        return Promise.resolve(join(directory, 'pipe'));
      },
    },
  ])('skip a file that is $desc, with a log line', async ({ make }) => {
    const file = await make();
    const { auth, trouble } = await find(file, await config('knows', KNOWS));
    expect(auth).toMatchObject({ username: 'me' });
    expect(trouble).toEqual([expect.objectContaining({ path: file })]);
  });
});

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const sourceOf = (config: object, image: string) =>
  credentialSource(parseDockerConfig(JSON.stringify(config)), registryOf(parseReference(image, 'image')));
const entry = (user: string): { auth: string } => ({ auth: base64(`${user}:p`) });
const authOf = (user: string) => ({ auth: { username: user, password: 'p' } });

describe('credentialSource', () => {
  it.each<{ desc: string; config: object; image: string; source: object | undefined }>([
    { desc: 'nothing', config: {}, image: 'r.io/app', source: undefined },
    {
      desc: 'another registry',
      config: { auths: { 'r.io': entry('u') } },
      image: 'r.io:5000/app',
      source: undefined,
    },
    {
      desc: 'a host',
      config: { auths: { 'r.io:5000': entry('u') } },
      image: 'r.io:5000/app',
      source: authOf('u'),
    },
    {
      desc: 'an address',
      config: { auths: { 'https://r.io/v2/': entry('u') } },
      image: 'r.io/a/b:1',
      source: authOf('u'),
    },
    {
      desc: 'the name of Docker Hub',
      config: { auths: { 'https://index.docker.io/v1/': entry('u') } },
      image: 'busybox',
      source: authOf('u'),
    },
    {
      desc: 'the longest matching path',
      config: { auths: { 'r.io': entry('u'), 'r.io/team': entry('t'), 'r.io/te': entry('x') } },
      image: 'r.io/team/app',
      source: authOf('t'),
    },
    {
      desc: 'a path that ends within a component',
      config: { auths: { 'r.io/tea': entry('x') } },
      image: 'r.io/team/app',
      source: undefined,
    },
    {
      desc: 'a host before a pattern',
      config: { auths: { '*.r.io': entry('x'), 'a.r.io': entry('u') } },
      image: 'a.r.io/app',
      source: authOf('u'),
    },
    {
      desc: 'a pattern for one part of the name',
      config: { auths: { '*.r.io': entry('u') } },
      image: 'a.r.io/app',
      source: authOf('u'),
    },
    {
      desc: 'a pattern for several parts',
      config: { auths: { '*.r.io': entry('u') } },
      image: 'a.b.r.io/app',
      source: undefined,
    },
    {
      desc: 'a name whose dots match only dots',
      config: { auths: { 'a.io': entry('u') } },
      image: 'abio:5000/app',
      source: undefined,
    },
    {
      desc: 'plain fields and tokens',
      config: {
        auths: {
          'r.io': { username: 'u', password: 'p', identitytoken: 't', registrytoken: '', email: 'e' },
        },
      },
      image: 'r.io/app',
      source: { auth: { username: 'u', password: 'p', identitytoken: 't' } },
    },
    {
      desc: "the registry's helper before all others",
      config: { credHelpers: { 'r.io': 'x' }, auths: { 'r.io': entry('u') }, credsStore: 's' },
      image: 'r.io/app',
      source: { helper: 'x', server: 'r.io' },
    },
    {
      desc: 'the store for all other registries, even with an empty entry',
      config: { auths: { 'r.io': {} }, credsStore: 's' },
      image: 'r.io/app',
      source: { helper: 's', server: 'r.io' },
    },
    {
      desc: "Docker Hub's name for a helper",
      config: { credsStore: 's' },
      image: 'library/busybox',
      source: { helper: 's', server: 'https://index.docker.io/v1/' },
    },
  ])('returns the right source for $desc', ({ config, image, source }) =>
    expect(sourceOf(config, image)).toEqual(source),
  );
});

describe('parseDockerConfig', () => {
  it.each([
    ['secret{', 'it is not JSON'],
    ['[]', 'it is not an object'],
    ['{"auths":{"r.io":"secret"}}', 'auths r.io is not an object'],
    ['{"auths":{"r.io":{"auth":7}}}', 'auths r.io auth is not text'],
    ['{"credHelpers":{"r.io":7}}', 'credHelpers r.io is not text'],
    ['{"credsStore":7}', 'credsStore is not text'],
  ])('refuses %s without repeating it', (text, message) => {
    expect(() => parseDockerConfig(text)).toThrow(new Error(message));
  });
});

describe('parseHelperAnswer', () => {
  it('returns a user and password, or an identity token', () => {
    const answer = (Username: string): string => JSON.stringify({ ServerURL: 'r.io', Username, Secret: 's' });
    expect(parseHelperAnswer(answer('u'))).toEqual({ username: 'u', password: 's' });
    expect(parseHelperAnswer(answer('<token>'))).toEqual({ identitytoken: 's' });
  });

  it.each(['secret', '{}', '{"Username":"u"}', 'null'])('refuses %s without repeating it', (text) => {
    expect(() => parseHelperAnswer(text)).toThrow(/^its answer (is not|has no)/);
  });
});

describe('registryHost', () => {
  it.each([
    ['r.io', 'r.io'],
    ['https://R.io:5000/v2/', 'r.io:5000'],
    ['http://r.io/path', 'r.io'],
    ['index.docker.io', 'docker.io'],
    ['https://index.docker.io/v1/', 'docker.io'],
  ])('of %s is %s', (address, host) => expect(registryHost(address)).toBe(host));
});
