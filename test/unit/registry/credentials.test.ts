import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../../src/lib/logger';
import { RegistryCredentials } from '../../../src/registry/credentials';
import { parseReference } from '../../../src/translate/image/reference';

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

/** What is found in the files, and the files that were trouble. */
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
  it('are looked for in other files once others are named', async () => {
    let files = [await config('other', '{"auths":{}}')];
    const credentials = new RegistryCredentials(() => files, silentLogger);
    expect(await credentials.find(IMAGE, signal)).toBeUndefined();
    files = [await config('knows', KNOWS)];
    expect(await credentials.find(IMAGE, signal)).toMatchObject({ username: 'me' });
  });

  it('are of the first file that knows the registry', async () => {
    const files = [await config('other', '{"auths":{}}'), await config('knows', KNOWS)];
    expect(await find(...files)).toEqual({
      auth: expect.objectContaining({ username: 'me', password: 'secret' }) as object,
      trouble: [],
    });
  });

  it('are none without a file, which is no trouble', async () => {
    expect(await find(join(directory, 'absent'))).toEqual({ auth: undefined, trouble: [] });
  });

  it.each([
    { desc: 'no JSON', make: () => config('bad', '{') },
    { desc: 'too large', make: () => config('huge', `"${'x'.repeat(1 << 20)}"`) },
    { desc: 'endless', make: () => Promise.resolve('/dev/zero') },
    {
      desc: 'a pipe that nobody writes to',
      make: () => {
        execFileSync('mkfifo', [join(directory, 'pipe')]);
        return Promise.resolve(join(directory, 'pipe'));
      },
    },
  ])('pass over a file that is $desc, with a log line', async ({ make }) => {
    const file = await make();
    const { auth, trouble } = await find(file, await config('knows', KNOWS));
    expect(auth).toMatchObject({ username: 'me' });
    expect(trouble).toEqual([expect.objectContaining({ path: file })]);
  });
});
