import fs from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { countOpenFiles, InThreadDiskWork, Pacer } from '../../../src/stats/disk/disk-work';
import { walk } from '../../../src/stats/disk/walk';
import { until } from '../support/async';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'dockbridge-walk-'));
});
afterEach(async () => {
  jest.restoreAllMocks();
  await rm(root, { recursive: true, force: true });
});

describe('a walk', () => {
  function measure(sliceMs: number): { inodes: number; bytes: number; steps: number } {
    const steps = walk(root, sliceMs);
    for (let count = 0; ; count++) {
      const step = steps.next();
      if (step.done === true) return { ...(step.value ?? { inodes: -1, bytes: -1 }), steps: count };
    }
  }

  it('goes on without a rest for as long as its slice is', async () => {
    await Promise.all(Array.from({ length: 200 }, (_, at) => writeFile(join(root, String(at)), '')));
    expect(measure(600_000)).toMatchObject({ inodes: 201, steps: 0 });
    expect(measure(0)).toMatchObject({ inodes: 201, steps: 3 });
  });

  it('rests again after a slice, not after each look at the clock', async () => {
    await Promise.all(Array.from({ length: 640 }, (_, at) => writeFile(join(root, String(at)), '')));
    // Ten looks, ten milliseconds apart: slices of 25 ms end at every third one.
    let now = 0;
    jest.spyOn(performance, 'now').mockImplementation(() => (now += 10));
    expect(measure(25).steps).toBe(3);
  });

  it('leaves out other file systems and what has gone meanwhile, with all that is in them', async () => {
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

  it('counts each block that is used once', async () => {
    const { blocks } = fs.lstatSync(root);
    expect(measure(1_000).bytes).toBe(blocks * 512);
    await symlink('/', join(root, 'link'));
    await mkdir(join(root, 'a'));
    await writeFile(join(root, 'a/file'), Buffer.alloc(100_000, 1));
    const all = ['', 'link', 'a', 'a/file'].map((name) => fs.lstatSync(join(root, name)).blocks * 512);
    expect(measure(1_000)).toMatchObject({ inodes: 4, bytes: all.reduce((sum, one) => sum + one) });
  });

  it('goes on where a directory cannot be opened', async () => {
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
  it('are counted with the sockets among them, of processes that are there', async () => {
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

  it('are looked at up to a limit, and counted beyond it', () => {
    // By hand: a spy would take note of each of all these calls.
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
  it('tells what it took, and leaves no timer when it is closed at rest', async () => {
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

  it('rests for nineteen times what a burst took, and after a failure not at all', async () => {
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
