import { EventEmitter } from 'node:events';
import fs, { type FSWatcher } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DirectoryWatch } from '../../../src/network/cni/directory-watch';
import { settle, until } from '../support/async';

describe('DirectoryWatch', () => {
  let root: string;
  let watch: DirectoryWatch;
  let changes: number;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'dockbridge-watch-'));
    changes = 0;
    watch = new DirectoryWatch(join(root, 'net.d'), () => (changes += 1));
  });
  afterEach(async () => {
    watch.close();
    jest.restoreAllMocks();
    await rm(root, { recursive: true });
  });

  it('reports a directory that appears, and later changes in it', async () => {
    await watch.start();
    await mkdir(join(root, 'net.d'));
    await until(() => changes > 0, 'the directory');
    const before = changes;
    await writeFile(join(root, 'net.d/10.conf'), '{}');
    await until(() => changes > before, 'the file');
  });

  it('polls every five seconds on a node without free watches', async () => {
    jest.spyOn(fs, 'watch').mockImplementation(() => {
      throw Object.assign(new Error('ENOSPC: System limit for number of file watchers'), { code: 'ENOSPC' });
    });
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    try {
      await watch.start();
      jest.advanceTimersByTime(4_999);
      expect([jest.getTimerCount(), changes]).toEqual([1, 0]);
      jest.advanceTimersByTime(1);
      await until(() => changes === 1, 'the poll');
      expect(jest.getTimerCount()).toBe(1);
      watch.close();
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });

  it('closes its watches', async () => {
    const watches = jest.spyOn(fs, 'watch');
    await watch.start();
    const closed = watches.mock.results.map(({ value }) => jest.spyOn(value as FSWatcher, 'close'));
    watch.close();
    expect(closed.map((close) => close.mock.calls.length)).toEqual([1]);
  });

  it('reports a directory that is removed, created again and replaced', async () => {
    await mkdir(join(root, 'net.d'));
    await watch.start();
    let before = changes;
    await rm(join(root, 'net.d'), { recursive: true });
    await until(() => changes > before, 'the end of the directory');
    before = changes;
    await mkdir(join(root, 'net.d'));
    await until(() => changes > before, 'the directory');
    before = changes;
    await mkdir(join(root, 'new'));
    await rename(join(root, 'net.d'), join(root, 'old'));
    await rename(join(root, 'new'), join(root, 'net.d'));
    await until(() => changes > before, 'the replacement');
    before = changes;
    await writeFile(join(root, 'net.d/10.conf'), '{}');
    await until(() => changes > before, 'the file in the new directory');
  });

  describe('with watches that the test controls', () => {
    let watches: { path: string; options: unknown; poke: () => void; fail: () => void; close: jest.Mock }[];
    let failure: NodeJS.ErrnoException | undefined;
    beforeEach(() => {
      [watches, failure] = [[], undefined];
      jest.spyOn(fs, 'watch').mockImplementation(((path: string, options: unknown, poke: () => void) => {
        if (failure !== undefined) throw failure;
        const [watcher, close] = [new EventEmitter(), jest.fn()];
        watches.push({
          ...{ path, options, poke, close },
          fail: () => watcher.emit('error', new Error('gone')),
        });
        return Object.assign(watcher, { close });
      }) as never);
      jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    });
    afterEach(() => jest.useRealTimers());

    const failing = (code: string): void => void (failure = Object.assign(new Error(code), { code }));

    async function isToldAfter(ms: number): Promise<void> {
      const before = changes;
      jest.advanceTimersByTime(ms - 1);
      expect(jest.getTimerCount()).toBe(1);
      jest.advanceTimersByTime(1);
      await until(() => changes > before, 'the change');
      expect(changes).toBe(before + 1);
    }

    it('watches the nearest directory, and no directory twice', async () => {
      await watch.start();
      expect(watches.map(({ path, options }) => [path, options])).toEqual([[root, { persistent: false }]]);
      expect(jest.getTimerCount()).toBe(0);
      const timers = jest.spyOn(globalThis, 'setTimeout');
      // A burst of events is one change, and its timer keeps no process alive.
      for (let time = 0; time < 3; time++) watches[0]?.poke();
      expect(timers.mock.results.map(({ value }) => (value as NodeJS.Timeout).hasRef())).toEqual([false]);
      timers.mockRestore();
      await isToldAfter(50);
      expect([watches.length, jest.getTimerCount()]).toEqual([1, 0]);
      await mkdir(join(root, 'net.d'));
      watches[0]?.fail();
      await isToldAfter(50);
      expect(watches.map(({ path, close }) => [path, close.mock.calls.length])).toEqual([
        [root, 1],
        [join(root, 'net.d'), 0],
      ]);
      watch.close();
      expect(watches[1]?.close).toHaveBeenCalledTimes(1);
      watches[1]?.poke();
      expect(jest.getTimerCount()).toBe(0);
    });

    it('watches the nearest directory above a path that is a file or does not exist', async () => {
      await writeFile(join(root, 'net.d'), '');
      await watch.start();
      const nowhere = new DirectoryWatch('/no/such/place', () => undefined);
      await nowhere.start();
      expect(watches.map(({ path }) => path)).toEqual([root, '/']);
      nowhere.close();
    });

    it('reports nothing once it is closed, even if a report was due', async () => {
      await watch.start();
      watches[0]?.poke();
      jest.advanceTimersByTime(50);
      watch.close();
      await settle();
      expect([changes, jest.getTimerCount()]).toEqual([0, 0]);
      const closed = new DirectoryWatch(root, () => undefined);
      closed.close();
      await closed.start();
      expect(watches).toHaveLength(1);
    });

    it.each([
      ['ENOENT', 50],
      ['ENOSPC', 5_000],
    ])('after a failure with %s, checks again after %d ms', async (code, ms) => {
      failing(code);
      await watch.start();
      await isToldAfter(ms);
      failure = undefined;
      await isToldAfter(ms);
      expect(watches.map(({ path }) => path)).toEqual([root]);
      expect(jest.getTimerCount()).toBe(0);
    });

    it('checks again if the directory changed while the watch was set up', async () => {
      jest.mocked(fs.watch).mockImplementationOnce(((path: string, options: unknown, poke: () => void) => {
        fs.mkdirSync(join(root, 'net.d'));
        watches.push({ path, options, poke, fail: jest.fn(), close: jest.fn() });
        return Object.assign(new EventEmitter(), { close: jest.fn() });
      }) as never);
      await watch.start();
      await isToldAfter(50);
      expect(watches.map(({ path }) => path)).toEqual([root, join(root, 'net.d')]);
    });
  });
});
