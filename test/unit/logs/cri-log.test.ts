import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { CriLog } from '../../../src/logs/cri-log';
import { nodeLogDisk, type LogDisk } from '../../../src/logs/log-disk';

const noSpace = (): never => {
  throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
};

describe('CriLog', () => {
  let root: string;
  let path: string;
  /** The open files. After each test there must be none. */
  let open: Set<number>;
  let disk: LogDisk;
  let logs: CriLog[];
  beforeEach(() => {
    root = fs.mkdtempSync(join(tmpdir(), 'dockbridge-cri-log-'));
    path = join(root, 'app/0.log');
    open = new Set();
    logs = [];
    const opened = (fd: number): number => {
      open.add(fd);
      return fd;
    };
    disk = {
      ...nodeLogDisk,
      openAppend: (at) => opened(nodeLogDisk.openAppend(at)),
      openExisting: (at) => {
        const fd = nodeLogDisk.openExisting(at);
        return fd === undefined ? undefined : opened(fd);
      },
      close: (fd) => {
        open.delete(fd);
        nodeLogDisk.close(fd);
      },
    };
  });
  afterEach(() => {
    for (const log of logs) log.close();
    fs.rmSync(root, { recursive: true });
    expect([...open]).toEqual([]);
  });

  function logOf(over: Partial<LogDisk> = {}): CriLog {
    const log = new CriLog(path, { ...disk, ...over });
    logs.push(log);
    return log;
  }
  function append(log: CriLog, text: string): void {
    log.prepare();
    log.append(Buffer.from(text), text.length);
  }
  const content = (at = path): string => fs.readFileSync(at, 'utf8');
  function written(text: string): void {
    fs.mkdirSync(dirname(path), { recursive: true });
    fs.writeFileSync(path, text);
  }

  it('is created by the first write, and appended to', () => {
    const log = logOf();
    expect([log.isAtPath, log.ino, log.position()]).toEqual([false, undefined, undefined]);
    append(log, 'one\n');
    append(log, 'two\n');
    expect(content()).toBe('one\ntwo\n');
    expect([log.isAtPath, log.isGone]).toEqual([true, false]);
    const { ino, birthtimeNs } = fs.statSync(path, { bigint: true });
    expect(log.position()).toEqual({
      ino: String(ino),
      birth: String(birthtimeNs),
      offset: 8,
      window: Buffer.from('one\ntwo\n').toString('base64'),
    });
  });

  it.each([
    { desc: 'a half line', before: 'one\ntw', after: 'one\n' },
    { desc: 'complete lines', before: 'one\ntwo\n', after: 'one\ntwo\n' },
    { desc: 'no complete line', before: 'on', after: 'on' },
    { desc: 'nothing', before: '', after: '' },
  ])('that ends with $desc is continued after its last complete line', ({ before, after }) => {
    written(before);
    const log = logOf();
    log.open();
    expect(content()).toBe(after);
    expect(log.position()?.offset).toBe(after.length);
    append(log, 'next\n');
    expect(content()).toBe(`${after}next\n`);
  });

  it('reports the end of its contents', () => {
    const log = logOf();
    expect(log.tail()).toEqual(Buffer.alloc(0));
    written(`${'x'.repeat(65_536)}end\n`);
    log.open();
    expect(log.tail().toString()).toBe(`${'x'.repeat(65_532)}end\n`);
  });

  it('removes a torn write at once', () => {
    let isFull = false;
    const log = logOf({
      write: (fd, from, at, length) =>
        isFull && at > 0 ? noSpace() : nodeLogDisk.write(fd, from, at, isFull ? 2 : length),
    });
    append(log, 'one\n');
    isFull = true;
    expect(() => append(log, 'two\n')).toThrow('ENOSPC');
    expect(content()).toBe('one\n');
    isFull = false;
    append(log, 'three\n');
    expect(content()).toBe('one\nthree\n');
    expect(log.position()?.offset).toBe(10);
  });

  it('removes a torn write before the next line, if the first attempt failed', () => {
    let isBroken = false;
    const log = logOf({
      write: (fd, from, at, length) =>
        isBroken && at > 0 ? noSpace() : nodeLogDisk.write(fd, from, at, isBroken ? 2 : length),
      truncate: (fd, size) => (isBroken ? noSpace() : nodeLogDisk.truncate(fd, size)),
    });
    append(log, 'one\n');
    isBroken = true;
    expect(() => append(log, 'two\n')).toThrow('ENOSPC');
    expect(content()).toBe('one\ntw');
    isBroken = false;
    append(log, 'three\n');
    expect(content()).toBe('one\nthree\n');
    // The tail is cut only once, because a later tail belongs to whoever appended it.
    fs.appendFileSync(path, 'others\n');
    append(log, 'four\n');
    expect(content()).toBe('one\nthree\nothers\nfour\n');
  });

  it.each([
    ['truncated by another process', () => fs.truncateSync(path, 4), 'one\nnext\n'],
    ['emptied by another process', () => fs.truncateSync(path), 'next\n'],
    ['removed', () => fs.rmSync(path), 'next\n'],
    ['removed with its directory', () => fs.rmSync(dirname(path), { recursive: true }), 'next\n'],
  ])('continues after it was %s', (_, change, after) => {
    const log = logOf();
    append(log, 'one\n');
    append(log, 'two\n');
    change();
    append(log, 'next\n');
    expect(content()).toBe(after);
    expect(log.position()?.offset).toBe(after.length);
  });

  it('notices that it was removed', () => {
    const log = logOf();
    append(log, 'one\n');
    fs.rmSync(path);
    expect([log.isAtPath, log.isGone]).toEqual([false, true]);
  });

  describe('after a restart', () => {
    const ended = (text: string) => {
      const log = logOf();
      append(log, text);
      const position = log.position()!;
      log.close();
      return position;
    };

    it('keeps what follows the saved position, as long as the same output comes again', () => {
      const saved = ended('one\n');
      fs.appendFileSync(path, 'two\nthree\n');
      const log = logOf();
      expect(log.resume(saved, true)).toBe(true);
      expect(log.position()).toEqual(saved);
      append(log, 'two\n');
      expect(content()).toBe('one\ntwo\nthree\n');
      append(log, 'other\n');
      expect(content()).toBe('one\ntwo\nother\n');
      expect(log.position()?.offset).toBe(14);
    });

    it('cuts output that does not come again', () => {
      const saved = ended('one\n');
      fs.appendFileSync(path, 'two\n');
      const log = logOf();
      log.resume(saved, true);
      log.cutAhead();
      expect(content()).toBe('one\n');
      append(log, 'next\n');
      expect(content()).toBe('one\nnext\n');
    });

    it('cuts a file that kubelet has renamed at the position, and begins the new file', () => {
      const saved = ended('one\n');
      fs.appendFileSync(path, 'two\n');
      fs.renameSync(path, `${path}.20260101-000000`);
      const log = logOf();
      expect(log.resume(saved, true)).toBe(true);
      expect(content(`${path}.20260101-000000`)).toBe('one\n');
      append(log, 'two\n');
      expect(content()).toBe('two\n');
      expect(open.size).toBe(1);
    });

    it('cuts the renamed file if the new file already exists, even if it must not create one', () => {
      const saved = ended('one\n');
      fs.appendFileSync(path, 'two\n');
      fs.renameSync(path, `${path}.20260101-000000`);
      fs.writeFileSync(path, 'new\n');
      const log = logOf();
      expect(log.hasSuccessor(saved)).toBe(true);
      expect(log.resume(saved, false)).toBe(true);
      expect(content(`${path}.20260101-000000`)).toBe('one\n');
      append(log, 'two\n');
      expect(content()).toBe('new\ntwo\n');
    });

    it('continues in the renamed file if it must not create a new one', () => {
      const saved = ended('one\n');
      fs.renameSync(path, `${path}.20260101-000000`);
      const log = logOf();
      expect(log.resume(saved, false)).toBe(true);
      append(log, 'two\n');
      expect(content(`${path}.20260101-000000`)).toBe('one\ntwo\n');
      expect([fs.existsSync(path), log.hasSuccessor(saved)]).toEqual([false, false]);
    });

    it.each([
      ['is gone', () => fs.rmSync(path)],
      ['is shorter', () => fs.truncateSync(path, 3)],
      ['ends differently', () => fs.writeFileSync(path, 'other text\n')],
    ])('has no place to continue if the file %s', (_, change) => {
      const saved = ended('one\n');
      change();
      expect(logOf().resume(saved, false)).toBe(false);
      expect(open.size).toBe(0);
    });

    it('begins a file if the saved one is gone and a new one is allowed', () => {
      const saved = ended('one\n');
      fs.rmSync(path);
      const log = logOf();
      expect(log.resume(saved, true)).toBe(true);
      append(log, 'next\n');
      expect(content()).toBe('next\n');
    });
  });

  it('is created again if kubelet renamed it, and kept otherwise', () => {
    const log = logOf();
    append(log, 'one\n');
    const before = log.ino;
    log.reopen();
    expect(log.ino).toBe(before);
    append(log, 'two\n');
    expect(content()).toBe('one\ntwo\n');
    fs.renameSync(path, `${path}.1`);
    log.reopen();
    expect(log.ino).not.toBe(before);
    append(log, 'three\n');
    expect([content(`${path}.1`), content()]).toEqual(['one\ntwo\n', 'three\n']);
    expect(open.size).toBe(1);
  });

  it('counts as put back if the old file is at the path and the new one is nowhere', () => {
    const log = logOf();
    append(log, 'one\n');
    const previous = log.position()!;
    fs.renameSync(path, `${path}.1`);
    log.reopen();
    append(log, 'two\n');
    const saved = log.position()!;
    expect(log.wasPutBack(saved, previous)).toBe(false);
    fs.renameSync(path, `${path}.2`);
    fs.renameSync(`${path}.1`, path);
    expect(log.wasPutBack(saved, previous)).toBe(false);
    fs.rmSync(`${path}.2`);
    expect(log.wasPutBack(saved, previous)).toBe(true);
    expect(log.wasPutBack(previous, previous)).toBe(false);
    expect(open.size).toBe(1);
  });
});
