import { checkSpace, freeSpace } from '../../../../src/migrate/images/space';

const DISKS: Record<string, { disk: string; free: number }> = {
  '/var/lib/containerd': { disk: 'a', free: 1_000 },
  '/var/lib/docker': { disk: 'a', free: 1_000 },
  '/mnt': { disk: 'b', free: 1_000 },
};
const look = (path: string): Promise<{ disk: string; free: number } | undefined> =>
  Promise.resolve(DISKS[path]);
const need = (path: string, bytes: number): { path: string; bytes: number; what: string } => ({
  ...{ path, bytes, what: 'the images' },
});

describe('checkSpace', () => {
  it('adds what is needed on the same file system', async () => {
    const both = [need('/var/lib/containerd', 600), need('/var/lib/docker', 500)];
    await expect(checkSpace(both, look)).rejects.toThrow(
      'the file system of /var/lib/containerd has 1.0 KB free, and 1.1 KB are needed (600 B for the images, 500 B for the images)',
    );
  });

  it('accepts needs that fit on their own file systems', async () => {
    expect(await checkSpace([need('/var/lib/containerd', 900), need('/mnt', 900)], look)).toEqual([]);
  });

  it('returns paths that cannot be read', async () => {
    expect(await checkSpace([need('/elsewhere', 900)], look)).toEqual(['/elsewhere']);
  });
});

describe('freeSpace', () => {
  it('looks at the nearest directory that exists', async () => {
    const [below, here] = await Promise.all([freeSpace(`${__dirname}/not/yet`), freeSpace(__dirname)]);
    expect(below?.disk).toBe(here?.disk);
    expect(below?.free).toBeGreaterThan(0);
  });

  it('returns undefined if even the first directory of the path is missing', async () => {
    expect(await freeSpace('/no-such-part/below')).toBeUndefined();
  });
});
