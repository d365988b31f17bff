import fs, { mkdir, mkdtemp, open, readdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeBelow, makeDirectory } from '../../../../src/node/disk/make-directory';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'dockbridge-make-'));
});
afterEach(() => rm(root, { recursive: true }));

const isDirectory = async (path: string): Promise<boolean> => (await stat(join(root, path))).isDirectory();

describe('a missing directory', () => {
  it.each([
    ['as the last part of the path', 'a'],
    ['with missing parents', 'a/b/c'],
    ['with a trailing slash', 'a/b/'],
    ['with a path that is not normalized', 'x/../a//./b'],
  ])('%s is created', async (_what, path) => {
    expect(await makeDirectory(`${root}/${path}`)).toBe(true);
    expect(await isDirectory(path.replace('x/../', ''))).toBe(true);
    expect(await makeDirectory(`${root}/${path}`)).toBe(false);
  });

  it('is created once by many simultaneous calls', async () => {
    const made = await Promise.all(Array.from({ length: 20 }, () => makeDirectory(join(root, 'a/b/c'))));
    expect(made).toContain(true);
    expect(await isDirectory('a/b/c')).toBe(true);
  });

  it.each<{ what: string; prepare: () => Promise<unknown>; path: string; why: RegExp }>([
    {
      what: 'below a file',
      prepare: () => writeFile(join(root, 'file'), ''),
      path: 'file/a/b',
      why: /\/file is not a directory$/,
    },
    {
      what: 'behind a symlink that leads nowhere',
      prepare: () => symlink('absent', join(root, 'link')),
      path: 'link/a',
      why: /the symlink \/.*\/link leads nowhere$/,
    },
    {
      what: 'behind a symlink to itself',
      prepare: () => symlink('link', join(root, 'link')),
      path: 'link/a',
      why: /leads in a circle$/,
    },
    {
      what: 'with a name that is too long',
      prepare: () => Promise.resolve(),
      path: 'a'.repeat(300),
      why: /ENAMETOOLONG$/,
    },
  ])('$what is not created', async ({ prepare, path, why }) => {
    await prepare();
    const before = await readdir(root);
    await expect(makeDirectory(join(root, path))).rejects.toThrow(why);
    expect(await readdir(root)).toEqual(before);
  });
});

it.each(['file', 'link', 'directory'])('an existing %s is left alone', async (kind) => {
  const path = join(root, kind);
  if (kind === 'directory') await mkdir(path, 0o700);
  else if (kind === 'file') await writeFile(path, '');
  else await symlink('/dev/null', path);
  expect(await makeDirectory(path)).toBe(false);
  if (kind === 'directory') expect((await stat(path)).mode & 0o777).toBe(0o700);
});

it.each(['ENOTCONN', 'ESTALE', 'EACCES'])(
  'an existing path that answers %s does not count as missing',
  async (code) => {
    // A file system cannot lose its server on demand in a test.
    const look = jest.spyOn(fs, 'open').mockRejectedValue(Object.assign(new Error(code), { code }));
    try {
      expect(await makeDirectory(join(root, 'dead'))).toBe(false);
    } finally {
      look.mockRestore();
    }
  },
);

it('a link that appears while a directory is made is not followed', async () => {
  await mkdir(join(root, 'pod'));
  await mkdir(join(root, 'elsewhere'));
  const held = await open(join(root, 'pod'), 'r');
  try {
    await rename(join(root, 'pod'), join(root, 'moved'));
    await symlink('elsewhere', join(root, 'pod'));
    await symlink('../elsewhere', join(root, 'moved/trap'));
    await (await makeBelow(held, 'made')).close();
    await expect(makeBelow(held, 'trap')).rejects.toThrow(/ELOOP|ENOTDIR/);
    expect(await readdir(join(root, 'elsewhere'))).toEqual([]);
    expect((await readdir(join(root, 'moved'))).sort()).toEqual(['made', 'trap']);
  } finally {
    await held.close();
  }
});
