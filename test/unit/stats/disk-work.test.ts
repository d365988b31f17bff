import fs from 'node:fs';
import { link, mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { countOpenFiles, InThreadDiskWork, Pacer, walk } from '../../../src/stats/disk/disk-work';
import { parseUpper, quotaUsage } from '../../../src/stats/disk/layer-source';
import { until } from '../support/async';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'dockbridge-walk-'));
});
afterEach(async () => {
  jest.restoreAllMocks();
  await rm(root, { recursive: true, force: true });
});

function measure(sliceMs: number): { inodes: number; bytes: number; steps: number } {
  const steps = walk(root, sliceMs);
  for (let count = 0; ; count++) {
    const step = steps.next();
    if (step.done === true) return { ...(step.value ?? { inodes: -1, bytes: -1 }), steps: count };
  }
}

describe('walk', () => {
  it('counts usage on disk: hard links once, no holes, and the directory itself and symlinks as inodes', async () => {
    const empty = measure(0);
    expect(empty.inodes).toBe(1);
    await mkdir(join(root, 'a/b'), { recursive: true });
    await writeFile(join(root, 'a/b/file'), Buffer.alloc(1_000_000, 1));
    await link(join(root, 'a/b/file'), join(root, 'again'));
    await symlink('/etc', join(root, 'elsewhere'));
    await writeFile(join(root, 'hole'), '');
    await truncate(join(root, 'hole'), 50_000_000);
    const { bytes, inodes } = measure(0);
    expect(inodes).toBe(6);
    expect(bytes - empty.bytes).toBeGreaterThanOrEqual(1_000_000);
    expect(bytes - empty.bytes).toBeLessThan(1_100_000);
  });

  it('lets other work run within a long directory', async () => {
    await Promise.all(Array.from({ length: 500 }, (_, at) => writeFile(join(root, String(at)), '')));
    const { inodes, steps } = measure(0);
    expect(inodes).toBe(501);
    expect(steps).toBeGreaterThanOrEqual(7);
  });

  it('returns nothing for a directory that is gone', () => {
    expect(walk('/no/such/directory', 10).next()).toEqual({ done: true, value: undefined });
  });

  it('runs as part of the disk work, and stops with it', async () => {
    const work = new InThreadDiskWork();
    expect(await work.measure(root)).toMatchObject({ inodes: 1 });
    expect(await work.openFiles([process.pid, 2 ** 22 + 1])).toMatchObject({
      files: expect.any(Number) as number,
    });
    await work.close();
    expect(await work.measure(root)).toBeUndefined();
  });
});

describe('a walk', () => {
  it('continues without a rest for the length of its slice', async () => {
    await Promise.all(Array.from({ length: 200 }, (_, at) => writeFile(join(root, String(at)), '')));
    expect(measure(600_000)).toMatchObject({ inodes: 201, steps: 0 });
    expect(measure(0)).toMatchObject({ inodes: 201, steps: 3 });
  });

  it('rests again after a slice, not after each check of the clock', async () => {
    await Promise.all(Array.from({ length: 640 }, (_, at) => writeFile(join(root, String(at)), '')));
    // The clock is checked ten times, ten milliseconds apart, so slices of 25 ms end at every third check.
    let now = 0;
    jest.spyOn(performance, 'now').mockImplementation(() => (now += 10));
    expect(measure(25).steps).toBe(3);
  });

  it('skips other file systems with their contents, and files that are gone', async () => {
    await mkdir(join(root, 'mounted'));
    await writeFile(join(root, 'mounted/file'), 'x');
    await writeFile(join(root, 'gone'), 'x');
    await writeFile(join(root, 'file'), 'x');
    const real = fs.lstatSync;
    const { dev } = real(root);
    jest.spyOn(fs, 'lstatSync').mockImplementation(((path: string) => {
      if (path.endsWith('/gone')) throw new Error('ENOENT');
      const found = real(path);
      return path.endsWith('/mounted') ? Object.assign(found, { dev: dev + 1 }) : found;
    }) as typeof fs.lstatSync);
    expect(measure(1_000).inodes).toBe(2);
  });

  it('counts each used block once', async () => {
    const { blocks } = fs.lstatSync(root);
    expect(measure(1_000).bytes).toBe(blocks * 512);
    await symlink('/', join(root, 'link'));
    await mkdir(join(root, 'a'));
    await writeFile(join(root, 'a/file'), Buffer.alloc(100_000, 1));
    const all = ['', 'link', 'a', 'a/file'].map((name) => fs.lstatSync(join(root, name)).blocks * 512);
    expect(measure(1_000)).toMatchObject({ inodes: 4, bytes: all.reduce((sum, one) => sum + one) });
  });

  it('continues if a directory cannot be opened', async () => {
    await mkdir(join(root, 'a'));
    await writeFile(join(root, 'a/file'), 'x');
    const real = fs.opendirSync;
    jest.spyOn(fs, 'opendirSync').mockImplementation(((path: string) => {
      if (path.endsWith('/a')) throw new Error('EACCES');
      return real(path);
    }) as typeof fs.opendirSync);
    expect(measure(1_000).inodes).toBe(2);
  });
});

describe('open files', () => {
  it('are counted for existing processes, with their sockets', async () => {
    const before = countOpenFiles([process.pid]);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(root, 'socket'), resolve));
    const handle = await fs.promises.open(join(root, 'file'), 'w');
    expect(countOpenFiles([process.pid, 2 ** 22 + 1])).toEqual({
      files: before.files + 2,
      sockets: before.sockets + 1,
    });
    const twice = await new InThreadDiskWork().openFiles([process.pid, process.pid]);
    expect(twice).toEqual({ files: 2 * (before.files + 2), sockets: 2 * (before.sockets + 1) });
    await handle.close();
    await new Promise((resolve) => server.close(resolve));
    expect(countOpenFiles([])).toEqual({ files: 0, sockets: 0 });
  });

  it('are read up to a limit, and counted beyond it', () => {
    // readlinkSync is replaced by hand, because a spy would record each of the many calls.
    const { readlinkSync } = fs;
    jest.spyOn(fs, 'readdirSync').mockReturnValue(Array(50_003).fill('3') as never);
    try {
      fs.readlinkSync = (() => 'socket:[1]') as unknown as typeof fs.readlinkSync;
      expect(countOpenFiles([1])).toEqual({ files: 50_003, sockets: 50_000 });
      fs.readlinkSync = () => {
        throw new Error('closed meanwhile');
      };
      expect(countOpenFiles([1])).toEqual({ files: 50_003, sockets: 0 });
    } finally {
      fs.readlinkSync = readlinkSync;
    }
  });
});

describe('work on this thread', () => {
  it('returns its cost, and leaves no timer when it is closed during a rest', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask', 'performance'] });
    try {
      const work = new InThreadDiskWork();
      const measured = await work.measure(root);
      expect(measured).toMatchObject({ inodes: 1, busyMs: expect.any(Number) as number });
      expect(measured?.busyMs).toBeGreaterThan(0);
      const waiting = work.measure(root);
      await until(() => jest.getTimerCount() === 1, 'the rest');
      await work.close();
      await waiting;
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });

  it('rests for nineteen times the length of a burst, and not at all after a failure', async () => {
    let now = 0;
    jest.spyOn(performance, 'now').mockImplementation(() => now);
    const rests: number[] = [];
    const pacer = new Pacer((ms) => Promise.resolve(void rests.push(ms)));
    expect(await pacer.run(() => (now += 2))).toBe(2);
    const failing = pacer.run(() => {
      throw new Error('disk');
    });
    await expect(failing).rejects.toThrow('disk');
    await pacer.run(() => (now += 4));
    await pacer.run(() => undefined);
    expect(rests.map((ms) => Math.round(ms * 1_000) / 1_000).slice(0, 2)).toEqual([38, 76]);
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

  it('continues after a burst that failed', async () => {
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

  it('returns nothing for another root file system', () => {
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

  it('returns the count of a project quota', async () => {
    expect(await quotaUsage('/layer', '/', reading(below, disk))).toBe(40 * 4096);
  });

  it('does not return the usage of a separate disk, or of a pool that shrinks as it fills', async () => {
    expect(await quotaUsage('/layer', '/', reading({ ...below, dev: 2 }, disk))).toBeUndefined();
    const zfs = 0x2fc12fc1;
    const read = reading({ ...below, type: zfs }, { ...disk, type: zfs });
    expect(await quotaUsage('/layer', '/', read)).toBeUndefined();
  });

  it('returns nothing without a quota or a directory', async () => {
    expect(await quotaUsage('/layer', '/', () => Promise.resolve(disk))).toBeUndefined();
    expect(await quotaUsage('/layer', '/', () => Promise.reject(new Error('gone')))).toBeUndefined();
  });
});
