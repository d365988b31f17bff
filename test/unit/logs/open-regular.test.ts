import { openForAppend, openRegular } from '../../../src/logs/log-disk';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errnoOf } from '../../../src/lib/errors';

const openFiles = (): number => fs.readdirSync('/proc/self/fd').length;

describe('openRegular', () => {
  let directory: string;
  let path: string;
  beforeEach(() => {
    directory = fs.mkdtempSync(join(tmpdir(), 'dockbridge-open-'));
    path = join(directory, 'log');
  });
  afterEach(() => fs.rmSync(directory, { recursive: true }));

  /** Opens the file, appends `end` and closes it. Returns its contents, `undefined` or the error code. */
  function outcomeOf(open: (path: string) => number | undefined, at = path): string {
    const before = openFiles();
    try {
      const fd = open(at);
      if (fd === undefined) return 'undefined';
      fs.writeSync(fd, 'end');
      fs.closeSync(fd);
      return fs.readFileSync(at, 'utf8');
    } catch (error) {
      return errnoOf(error) ?? String(error);
    } finally {
      expect(openFiles()).toBe(before);
    }
  }

  const IRREGULAR: [string, () => void][] = [
    ['a link', () => fs.symlinkSync(join(directory, 'other'), path)],
    ['a FIFO', () => execFileSync('mkfifo', [path])],
  ];

  it('appends to an existing file', () => {
    fs.writeFileSync(path, 'begin ');
    expect(outcomeOf(openRegular)).toBe('begin end');
    expect(outcomeOf(openForAppend)).toBe('begin endend');
  });

  it('creates a file only for appending, with at most the mode 0640', () => {
    expect(outcomeOf(openRegular)).toBe('undefined');
    expect(outcomeOf(openForAppend)).toBe('end');
    expect(fs.statSync(path).mode & 0o777 & ~0o640).toBe(0);
  });

  it.each(IRREGULAR)('does not open %s, and replaces it with a file for appending', (_, make) => {
    fs.writeFileSync(join(directory, 'other'), 'untouched');
    make();
    expect(outcomeOf(openRegular)).toBe('undefined');
    expect(outcomeOf(openForAppend)).toBe('end');
    expect(fs.lstatSync(path).isFile()).toBe(true);
    expect(fs.readFileSync(join(directory, 'other'), 'utf8')).toBe('untouched');
  });

  it('does not open a directory, and does not remove it', () => {
    fs.mkdirSync(path);
    expect(outcomeOf(openRegular)).toBe('undefined');
    expect(['EISDIR', 'EPERM']).toContain(outcomeOf(openForAppend));
    expect(fs.statSync(path).isDirectory()).toBe(true);
  });

  it('reports why a file cannot be created', () => {
    const below = join(directory, 'gone', 'log');
    expect(outcomeOf(openRegular, below)).toBe('undefined');
    expect(outcomeOf(openForAppend, below)).toBe('ENOENT');
    fs.writeFileSync(path, '');
    expect(outcomeOf(openRegular, join(path, 'log'))).toBe('ENOTDIR');
    expect(outcomeOf(openForAppend, join(path, 'log'))).toBe('ENOTDIR');
  });
});
