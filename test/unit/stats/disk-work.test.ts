import { link, mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InThreadDiskWork, Pacer } from '../../../src/stats/disk/disk-work';
import { parseUpper, quotaUsage } from '../../../src/stats/disk/layer-source';
import { walk } from '../../../src/stats/disk/walk';

describe('walk', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'dockbridge-walk-'));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  function measure(): { bytes: number; inodes: number; steps: number } {
    const steps = walk(root, 0);
    for (let count = 0; ; count++) {
      const step = steps.next();
      if (step.done === true) return { ...(step.value ?? { bytes: -1, inodes: -1 }), steps: count };
    }
  }

  it('counts what is on disk: links once, holes not, the directory itself and links as inodes', async () => {
    const empty = measure();
    expect(empty.inodes).toBe(1);
    await mkdir(join(root, 'a/b'), { recursive: true });
    await writeFile(join(root, 'a/b/file'), Buffer.alloc(1_000_000, 1));
    await link(join(root, 'a/b/file'), join(root, 'again'));
    await symlink('/etc', join(root, 'elsewhere'));
    await writeFile(join(root, 'hole'), '');
    await truncate(join(root, 'hole'), 50_000_000);
    const { bytes, inodes } = measure();
    expect(inodes).toBe(6);
    expect(bytes - empty.bytes).toBeGreaterThanOrEqual(1_000_000);
    expect(bytes - empty.bytes).toBeLessThan(1_100_000);
  });

  it('lets others have a turn within a long directory', async () => {
    await Promise.all(Array.from({ length: 500 }, (_, at) => writeFile(join(root, String(at)), '')));
    const { inodes, steps } = measure();
    expect(inodes).toBe(501);
    expect(steps).toBeGreaterThanOrEqual(7);
  });

  it('is nothing of a directory that is gone', () => {
    expect(walk('/no/such/directory', 10).next()).toEqual({ done: true, value: undefined });
  });

  it('is what the disk work does, and stops with it', async () => {
    const work = new InThreadDiskWork();
    expect(await work.measure(root)).toMatchObject({ inodes: 1 });
    expect(await work.openFiles([process.pid, 2 ** 22 + 1])).toMatchObject({
      files: expect.any(Number) as number,
    });
    await work.close();
    expect(await work.measure(root)).toBeUndefined();
  });
});

describe('Pacer', () => {
  it('rests nineteen times as long as it worked, and never runs two bursts at once', async () => {
    const rests: number[] = [];
    const pacer = new Pacer((ms) => {
      rests.push(ms);
      return Promise.resolve();
    });
    const burst = (): number => {
      const start = performance.now();
      while (performance.now() - start < 3);
      return start;
    };
    const [first, second] = await Promise.all([pacer.run(burst), pacer.run(burst)]);
    expect(second - first).toBeGreaterThanOrEqual(3);
    await pacer.run(() => undefined);
    expect(rests[0]).toBeGreaterThanOrEqual(57);
    expect(rests.length).toBeGreaterThanOrEqual(2);
  });

  it('goes on after a burst that failed', async () => {
    const pacer = new Pacer(() => Promise.resolve());
    const failing = pacer.run(() => {
      throw new Error('disk');
    });
    await expect(failing).rejects.toThrow('disk');
    expect(await pacer.run(() => 1)).toBe(1);
  });
});

describe('parseUpper', () => {
  const line = (options: string): string =>
    `1 2 0:3 / /proc rw - proc proc rw\n4 5 0:6 / / rw,relatime - overlay overlay rw,${options}\n`;

  it.each([
    ['lowerdir=/l/A:/l/B,upperdir=/data/overlay2/x/diff,workdir=/w', '/data/overlay2/x/diff'],
    ['lowerdir=l/A,upperdir=x/diff,workdir=x/work', 'x/diff'],
    ['upperdir=/with\\040space/diff,workdir=/w', '/with space/diff'],
    ['lowerdir=/l/A', undefined],
  ])('of %s is %s', (options, upper) => expect(parseUpper(line(options))).toBe(upper));

  it('is nothing for another root file system', () => {
    expect(parseUpper('4 5 0:6 / / rw - ext4 /dev/vda rw')).toBeUndefined();
  });
});

describe('quotaUsage', () => {
  const disk = { dev: 1, type: 0x58465342, blocks: 1000, bfree: 900, bsize: 4096 };
  const below = { ...disk, blocks: 100, bfree: 60 };
  const reading =
    (layer: typeof disk, whole: typeof disk) =>
    (path: string): Promise<typeof disk> =>
      Promise.resolve(path === '/layer' ? layer : whole);

  it('is what a project quota counts', async () => {
    expect(await quotaUsage('/layer', '/', reading(below, disk))).toBe(40 * 4096);
  });

  it('is not the use of a disk of its own, nor of a pool that shrinks as it fills', async () => {
    expect(await quotaUsage('/layer', '/', reading({ ...below, dev: 2 }, disk))).toBeUndefined();
    const zfs = 0x2fc12fc1;
    const read = reading({ ...below, type: zfs }, { ...disk, type: zfs });
    expect(await quotaUsage('/layer', '/', read)).toBeUndefined();
  });

  it('is nothing without one, or without the directory', async () => {
    expect(await quotaUsage('/layer', '/', () => Promise.resolve(disk))).toBeUndefined();
    expect(await quotaUsage('/layer', '/', () => Promise.reject(new Error('gone')))).toBeUndefined();
  });
});
