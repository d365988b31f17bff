import fs, { type FSWatcher } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DirectoryWatch } from '../../../src/network/cni/directory-watch';
import { until } from '../support/async';

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

  it('tells of a directory that appears, and of what then happens in it', async () => {
    await watch.start();
    await mkdir(join(root, 'net.d'));
    await until(() => changes > 0, 'the directory');
    const before = changes;
    await writeFile(join(root, 'net.d/10.conf'), '{}');
    await until(() => changes > before, 'the file');
  });

  it('looks by the clock, and seldom, on a node that is out of watches', async () => {
    jest.spyOn(fs, 'watch').mockImplementation(() => {
      throw Object.assign(new Error('ENOSPC: System limit for number of file watchers'), { code: 'ENOSPC' });
    });
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    try {
      await watch.start();
      jest.advanceTimersByTime(4_999);
      expect([jest.getTimerCount(), changes]).toEqual([1, 0]);
      jest.advanceTimersByTime(1);
      await until(() => changes === 1, 'the look');
      expect(jest.getTimerCount()).toBe(1);
      watch.close();
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });

  it('lets go of what it watches', async () => {
    const watches = jest.spyOn(fs, 'watch');
    await watch.start();
    const closed = watches.mock.results.map(({ value }) => jest.spyOn(value as FSWatcher, 'close'));
    watch.close();
    expect(closed.map((close) => close.mock.calls.length)).toEqual([1]);
  });
});
