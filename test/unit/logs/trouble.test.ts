import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { nodeLogDisk, type LogDisk } from '../../../src/logs/log-disk';
import { settle } from '../support/async';
import { asRoot } from '../support/root';
import type { FakeDockerLog } from './support/fake-docker-log';
import { LogRoom } from './support/log-room';

/** '' for a descriptor that is closed meanwhile. */
function linkTarget(path: string): string {
  try {
    return fs.readlinkSync(path);
  } catch {
    return '';
  }
}

describe('the copy of a log in trouble', () => {
  let room: LogRoom;
  let docker: FakeDockerLog;
  beforeEach(() => {
    room = new LogRoom();
    docker = room.docker({ maxSize: 500, maxFile: 3 });
  });
  afterEach(() => room.dispose());

  it('notices new lines by itself', async () => {
    const logs = room.logs();
    await logs.follow(room.source);
    for (let i = 0; i < 3; i++) {
      docker.write(`line ${i}`);
      await room.until(() => room.content().includes(`line ${i}`));
    }
    // Poll, inotify or the wait for either: whatever the copy is at, it must see this.
    await logs.drain('c1');
    docker.write('after the silence');
    await room.until(() => room.content().includes('after the silence'));
  });

  it('waits for the rest of a half-written record', async () => {
    const logs = room.logs();
    await logs.follow(room.source);
    const record = docker.write('whole');
    docker.raw(record.slice(0, 20));
    await logs.drain('c1');
    expect(room.texts()).toEqual(['whole']);
    docker.raw(record.slice(20));
    await logs.drain('c1');
    expect(room.texts()).toEqual(['whole', 'whole']);
  });

  it('notes a torn record at the end of a rotated file', async () => {
    const logs = room.logs();
    await logs.follow(room.source);
    docker.raw('{"log":"torn');
    docker.rotate();
    docker.write('next');
    await logs.drain('c1');
    expect(room.texts()).toEqual([expect.stringMatching(/^dockbridge: .* torn$/), 'next']);
    expect(await logs.stats()).toMatchObject({ unreadable: 1 });
  });

  it('passes over a record that does not fit its memory, and notes it', async () => {
    const logs = room.logs({ bufferBytes: 4096 });
    await logs.follow(room.source);
    docker.write('before');
    docker.raw(`{"log":"${'x'.repeat(20_000)}\\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}\n`);
    docker.write('after');
    await logs.drain('c1');
    expect(room.texts()).toEqual(['before', expect.stringMatching(/^dockbridge: .* too long$/), 'after']);
  });

  it('writes a gap line when rotation passed by while nobody followed, and keeps what it had', async () => {
    const first = room.logs();
    await first.follow(room.source);
    docker.write('seen');
    await first.drain('c1');
    await first.close();
    for (let i = 0; i < 40; i++) docker.write(`line ${i}`);
    const second = room.logs();
    await second.follow(room.source);
    await second.drain('c1');
    const texts = room.texts();
    expect(texts.slice(0, 2)).toEqual(['seen', expect.stringMatching(/^dockbridge: gap/)]);
    const rest = texts.slice(2);
    expect(rest.length).toBeGreaterThan(5);
    expect(rest).toEqual(Array.from({ length: rest.length }, (_, i) => `line ${40 - rest.length + i}`));
    expect(await second.stats()).toMatchObject({ gaps: 1 });
    expect(room.messages).toEqual([
      {
        level: 'warn',
        message: expect.any(String) as string,
        fields: { container: 'c1', logPath: room.logPath },
      },
    ]);
  });

  it.each([
    [-60_000, true],
    // Engine 28 took the time and then made the file.
    [-1_000, false],
    [60_000, false],
  ])(
    'sees by the start %d ms from now whether the spool wrapped before the first follow',
    async (ms, gap) => {
      docker.write('line');
      const logs = room.logs();
      await logs.follow({ ...room.source, startedAt: new Date(Date.now() + ms).toISOString() });
      await logs.drain('c1');
      expect(room.texts().some((text) => text.startsWith('dockbridge: gap'))).toBe(gap);
      expect(room.texts().at(-1)).toBe('line');
    },
  );

  it('writes a gap line when the spool was cut in place', async () => {
    const logs = room.logs();
    await logs.follow(room.source);
    docker.write('a longer line than the next one');
    await logs.drain('c1');
    fs.truncateSync(room.spoolPath, 0);
    docker.write('short');
    await logs.drain('c1');
    expect(room.texts().slice(1)).toEqual([expect.stringMatching(/^dockbridge: gap/), 'short']);
  });

  it.each(['while it runs', 'while nobody follows'])(
    'writes a gap line when the spool was cut %s and grew beyond our place',
    async (when) => {
      let logs = room.logs();
      docker = room.docker();
      await logs.follow(room.source);
      docker.write('first');
      await logs.drain('c1');
      if (when !== 'while it runs') await logs.close();
      fs.truncateSync(room.spoolPath, 0);
      for (let i = 0; i < 20; i++) docker.write(`line ${i}`);
      if (when !== 'while it runs') {
        logs = room.logs();
        await logs.follow(room.source);
      }
      await logs.drain('c1');
      const [first, gap, ...rest] = room.texts();
      expect([first, gap]).toEqual(['first', expect.stringMatching(/^dockbridge: gap/)]);
      expect(rest).toEqual(Array.from({ length: 20 }, (_, i) => `line ${i}`));
      expect(await logs.stats()).toMatchObject({ gaps: 1 });
    },
  );

  it('sees a spool that was cut and grew to the very same length', async () => {
    const logs = room.logs();
    docker = room.docker();
    await logs.follow(room.source);
    docker.write('first');
    await logs.drain('c1');
    fs.truncateSync(room.spoolPath, 0);
    docker.write('other');
    await logs.drain('c1');
    expect(room.texts()).toEqual(['first', expect.stringMatching(/^dockbridge: gap/), 'other']);
  });

  describe('when a pod put something else in its place, makes the log anew and is not held by it:', () => {
    const isMadeAnew = async (put: (path: string) => unknown) => {
      const logs = room.logs();
      await logs.follow(room.source);
      docker.write('one');
      await logs.drain('c1');
      put(`${room.logPath}.planted`);
      fs.renameSync(`${room.logPath}.planted`, room.logPath);
      docker.write('two');
      await logs.drain('c1');
      expect(room.texts()).toEqual(['two']);
      put(`${room.logPath}.planted`);
      fs.renameSync(`${room.logPath}.planted`, room.logPath);
      await logs.close();
      const second = room.logs();
      second.resume();
      await second.follow(room.source);
      docker.write('three');
      await second.drain('c1');
      expect(room.texts()).toEqual(['three']);
    };

    it('a FIFO', () => isMadeAnew((path) => execFileSync('mkfifo', [path])));
    it('a symlink', () => isMadeAnew((path) => fs.symlinkSync('/dev/null', path)));
    asRoot('a device', () => isMadeAnew((path) => execFileSync('mknod', [path, 'c', '1', '3'])));
  });

  it.each(['pods/ns_pod_uid', 'pods/ns_pod_uid/app'])(
    'follows no symlink in the place of %s, where pods may write',
    async (part) => {
      const elsewhere = join(room.root, 'elsewhere');
      fs.mkdirSync(elsewhere);
      fs.mkdirSync(dirname(join(room.root, part)), { recursive: true });
      fs.symlinkSync(elsewhere, join(room.root, part));
      const logs = room.logs();
      docker.write('one');
      await expect(logs.follow(room.source)).rejects.toMatchObject({
        code: 'INTERNAL',
        message: expect.stringContaining(`${part} is not a directory; a symlink`) as unknown,
      });
      expect(fs.readdirSync(elsewhere)).toEqual([]);
      fs.unlinkSync(join(room.root, part));
      await logs.drain('c1');
      expect(room.texts()).toEqual(['one']);
    },
  );

  it('follows symlinks above the directory of the pod: an administrator moved /var/log/pods', async () => {
    fs.mkdirSync(join(room.root, 'elsewhere'));
    fs.symlinkSync(join(room.root, 'elsewhere'), join(room.root, 'pods'));
    const logs = room.logs();
    docker.write('one');
    await logs.follow(room.source);
    await logs.drain('c1');
    expect(room.texts()).toEqual(['one']);
  });

  it('makes the log anew when it or its directory was removed', async () => {
    const logs = room.logs();
    await logs.follow(room.source);
    docker.write('one');
    await logs.drain('c1');
    fs.rmSync(join(room.root, 'pods'), { recursive: true });
    docker.write('two');
    await logs.drain('c1');
    expect(room.texts()).toEqual(['two']);
    fs.rmSync(room.logPath);
    await logs.reopen('c1');
    docker.write('three');
    await logs.drain('c1');
    expect(room.texts()).toEqual(['three']);
  });

  it('keeps the file when reopened without a rename', async () => {
    const logs = room.logs();
    await logs.follow(room.source);
    docker.write('one');
    await logs.drain('c1');
    await logs.reopen('c1');
    docker.write('two');
    await logs.drain('c1');
    expect(room.texts()).toEqual(['one', 'two']);
  });

  it('keeps writing to the renamed file until it is reopened', async () => {
    const logs = room.logs();
    await logs.follow(room.source);
    docker.write('one');
    await logs.drain('c1');
    fs.renameSync(room.logPath, `${room.logPath}.old`);
    docker.write('two');
    await logs.drain('c1');
    expect(fs.existsSync(room.logPath)).toBe(false);
    expect(room.texts(`${room.logPath}.old`)).toEqual(['one', 'two']);
  });

  it('rejects where no file can be made, and goes on when it can', async () => {
    fs.writeFileSync(join(room.root, 'pods'), 'in the way');
    const logs = room.logs();
    docker.write('one');
    await expect(logs.follow(room.source)).rejects.toMatchObject({ code: 'INTERNAL' });
    await logs.drain('c1');
    fs.rmSync(join(room.root, 'pods'));
    await logs.follow(room.source);
    await logs.drain('c1');
    expect(room.texts()).toEqual(['one']);
  });

  it('keeps no spool open while it cannot go on', async () => {
    fs.writeFileSync(join(room.root, 'pods'), 'in the way');
    const logs = room.logs();
    docker.write('one');
    await expect(logs.follow(room.source)).rejects.toMatchObject({ code: 'INTERNAL' });
    for (let retry = 0; retry < 5; retry++) await logs.drain('c1');
    const open = fs.readdirSync('/proc/self/fd').map((fd) => linkTarget(`/proc/self/fd/${fd}`));
    // The Engine's own, which is this process too.
    expect(open.filter((path) => path === room.spoolPath)).toHaveLength(1);
  });

  it('holds no descriptor of a container that is quiet', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask', 'performance'] });
    try {
      const logs = room.logs();
      await logs.follow(room.source);
      docker.write('one');
      await logs.drain('c1');
      const ours = (): number =>
        fs
          .readdirSync('/proc/self/fd')
          .map((fd) => linkTarget(`/proc/self/fd/${fd}`))
          .filter((path) => path === room.spoolPath || path === room.logPath).length;
      // The drain has saved the position; the quiet looks that follow arm inotify and let go.
      for (let look = 0; look < 8; look++) {
        await jest.advanceTimersByTimeAsync(30);
        await new Promise((resolve) => setImmediate(resolve));
      }
      // The Engine's own, which is this process too.
      expect(ours()).toBe(1);
      docker.write('two');
      await logs.drain('c1');
      expect(room.texts()).toEqual(['one', 'two']);
    } finally {
      jest.useRealTimers();
    }
  });

  it.each(['ENOSPC', 'EROFS'])(
    'goes on when positions cannot be saved (%s), and catches up',
    async (code) => {
      let full = true;
      const disk: LogDisk = {
        ...nodeLogDisk,
        replace: (path, text) => {
          if (full) throw Object.assign(new Error(`${code}: no`), { code });
          nodeLogDisk.replace(path, text);
        },
      };
      docker = room.docker();
      const logs = room.logs({ disk });
      await logs.follow(room.source);
      docker.write('one');
      await logs.drain('c1');
      fs.renameSync(room.logPath, `${room.logPath}.old`);
      await logs.reopen('c1');
      docker.write('two');
      await logs.drain('c1');
      expect([room.texts(`${room.logPath}.old`), room.texts()]).toEqual([['one'], ['two']]);
      expect(room.messages.map(({ level }) => level)).toEqual(['warn']);
      // Killed now, without a saved position: the last line tells where to go on.
      docker.write('three');
      const second = room.logs({ disk });
      second.resume();
      await second.follow(room.source);
      await second.drain('c1');
      expect(room.texts()).toEqual(['two', 'three']);
      full = false;
      docker.write('four');
      await second.drain('c1');
      await second.close();
      expect(fs.readdirSync(room.stateDir)).toEqual(['c1.json']);
      expect(room.messages.at(-1)).toMatchObject({ level: 'info' });
    },
  );

  it('doubles nothing when killed with a position older than a rotation by kubelet', async () => {
    let full = false;
    const disk: LogDisk = {
      ...nodeLogDisk,
      replace: (path, text) => {
        if (full) throw Object.assign(new Error('ENOSPC: no'), { code: 'ENOSPC' });
        nodeLogDisk.replace(path, text);
      },
    };
    docker = room.docker();
    const logs = room.logs({ disk });
    await logs.follow(room.source);
    docker.write('one');
    await logs.drain('c1');
    full = true;
    docker.write('two');
    await logs.drain('c1');
    fs.renameSync(room.logPath, `${room.logPath}.old`);
    await logs.reopen('c1');
    docker.write('three');
    await logs.drain('c1');
    // As after a kill: the first one is not asked any more.
    const second = room.logs();
    docker.write('four');
    second.resume();
    await second.follow(room.source);
    await second.drain('c1');
    expect([room.texts(`${room.logPath}.old`), room.texts()]).toEqual([
      ['one', 'two'],
      ['three', 'four'],
    ]);
  });

  it('removes half-written position files', () => {
    fs.mkdirSync(room.stateDir, { recursive: true });
    fs.writeFileSync(join(room.stateDir, 'c9.json.tmp'), '{');
    room.logs();
    expect(fs.readdirSync(room.stateDir)).toEqual([]);
  });

  asRoot('survives a full disk: reports once, loses and doubles nothing', async () => {
    const small = join(room.root, 'small');
    fs.mkdirSync(small);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', small]);
    try {
      const source = { ...room.source, logPath: join(small, 'app/0.log') };
      const filler = join(small, 'filler');
      const logs = room.logs();
      await logs.follow(source);
      docker = room.docker();
      const expected = Array.from({ length: 400 }, (_, i) => `line ${i} ${'x'.repeat(60)}`);
      fs.writeFileSync(filler, Buffer.alloc(40_000));
      for (const text of expected) docker.write(text);
      await logs.drain('c1');
      const stalls = room.messages.filter(({ level }) => level === 'error');
      expect(stalls).toHaveLength(1);
      expect(stalls[0]?.fields).toMatchObject({
        container: 'c1',
        error: expect.stringContaining('ENOSPC') as unknown,
      });
      expect(expected.slice(0, room.texts(source.logPath).length)).toEqual(room.texts(source.logPath));
      await logs.drain('c1');
      expect(room.messages.filter(({ level }) => level === 'error')).toHaveLength(1);
      fs.rmSync(filler);
      await logs.drain('c1');
      expect(room.texts(source.logPath)).toEqual(expected);
      expect(room.messages.at(-1)).toMatchObject({ level: 'info' });
      expect(await logs.stats()).toMatchObject({ stalls: 1 });
      await logs.close();
    } finally {
      execFileSync('umount', [small]);
    }
  });

  it('cuts off what a failed write left', async () => {
    let fail = false;
    const logs = room.logs({
      disk: {
        ...nodeLogDisk,
        write: (fd, from, offset, length) => {
          if (fail && offset > 0) throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
          return nodeLogDisk.write(fd, from, offset, fail ? Math.ceil(length / 2) : length);
        },
      },
    });
    await logs.follow(room.source);
    fail = true;
    docker.write('one');
    await logs.drain('c1');
    expect(room.content()).toBe('');
    fail = false;
    await logs.drain('c1');
    expect(room.texts()).toEqual(['one']);
  });

  it('cuts off what a failed write left before it goes on, where that could not be done at once', async () => {
    const broken = (): Error => Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
    let fail = false;
    const logs = room.logs({
      disk: {
        ...nodeLogDisk,
        write: (fd, from, offset, length) => {
          if (fail && offset > 0) throw broken();
          return nodeLogDisk.write(fd, from, offset, fail ? Math.ceil(length / 2) : length);
        },
        truncate: (fd, size) => {
          if (fail) throw broken();
          nodeLogDisk.truncate(fd, size);
        },
      },
    });
    await logs.follow(room.source);
    docker.write('zero');
    await logs.drain('c1');
    fail = true;
    docker.write('one');
    await logs.drain('c1');
    expect(room.content()).toMatch(/ zero\n.*[^\n]$/);
    fail = false;
    await logs.drain('c1');
    expect(room.texts()).toEqual(['zero', 'one']);
  });

  it('tries again ever more rarely, and soon again after it could go on', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask', 'performance'] });
    try {
      let fail = false;
      let failures = 0;
      const logs = room.logs({
        disk: {
          ...nodeLogDisk,
          write: (fd, from, offset, length) => {
            if (!fail) return nodeLogDisk.write(fd, from, offset, length);
            failures++;
            throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
          },
        },
      });
      await logs.follow(room.source);
      const failsAgainAfter = async (ms: number): Promise<void> => {
        const before = failures;
        await jest.advanceTimersByTimeAsync(ms - 1);
        await settle();
        expect(failures).toBe(before);
        await jest.advanceTimersByTimeAsync(1);
        await settle();
        expect(failures).toBe(before + 1);
      };
      fail = true;
      docker.write('one');
      await logs.drain('c1');
      for (const ms of [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]) await failsAgainAfter(ms);
      fail = false;
      await logs.drain('c1');
      expect(room.texts()).toEqual(['one']);
      fail = true;
      docker.write('two');
      await logs.drain('c1');
      for (const ms of [250, 500]) await failsAgainAfter(ms);
      expect(await logs.stats()).toMatchObject({ stalls: 2 });
    } finally {
      jest.useRealTimers();
    }
  });

  it('keeps a saved position while the spool is out of sight, even through a reopen', async () => {
    const first = room.logs();
    await first.follow(room.source);
    docker.write('one');
    await first.drain('c1');
    await first.close();
    fs.renameSync(dirname(room.spoolPath), join(room.root, 'hidden'));
    const second = room.logs();
    await second.follow(room.source);
    fs.renameSync(room.logPath, `${room.logPath}.old`);
    await second.reopen('c1');
    fs.renameSync(join(room.root, 'hidden'), dirname(room.spoolPath));
    docker.write('two');
    await second.drain('c1');
    expect(room.texts(`${room.logPath}.old`)).toEqual(['one']);
    expect(room.texts()).toEqual(['two']);
  });

  it('may be asked twice, and after its end', async () => {
    const logs = room.logs();
    await Promise.all([logs.follow(room.source), logs.follow(room.source)]);
    docker.write('one');
    await Promise.all([logs.drain('c1'), logs.drain('c1'), logs.reopen('c1'), logs.drain('c1')]);
    expect(room.texts()).toEqual(['one']);
    const pending = logs.drain('c1');
    await logs.close();
    await pending;
    await logs.close();
    await logs.drain('c1');
  });
});
