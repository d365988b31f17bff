import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { claimDirectory } from '../../../../src/node/disk/claim-directory';
import { thrownBy } from '../../support/errors';

const BOOT = fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

describe('claimDirectory', () => {
  let directory: string;
  beforeEach(() => {
    directory = fs.mkdtempSync(join(tmpdir(), 'dockbridge-owner-'));
  });
  afterEach(() => fs.rmSync(directory, { recursive: true }));

  const startOf = (pid: number | undefined): string =>
    fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[19] ?? '';
  const owned = (text: string): void => fs.writeFileSync(join(directory, 'owner'), text);
  const owner = (): string => fs.readFileSync(join(directory, 'owner'), 'utf8');
  const claim = (of = directory): string => claimDirectory(of, 'some-dir', 0o700);

  it('makes the directory, and lets its owner come again', () => {
    const state = join(directory, 'a/b');
    claim(state);
    claim(state);
    expect(fs.statSync(state).mode & 0o777).toBe(0o700);
  });

  it('refuses while another process lives, and not when it is gone', async () => {
    const other = spawn('sleep', ['1000']);
    owned(`${other.pid} ${startOf(other.pid)} ${BOOT}`);
    expect(thrownBy(() => claim())).toBe(
      `FAILED_PRECONDITION another dockbridge, process ${other.pid}, uses ${directory}: stop it first, or give --some-dir`,
    );
    other.kill('SIGKILL');
    await once(other, 'exit');
    claim();
    expect(owner()).toBe(`${process.pid} ${startOf(process.pid)} ${BOOT}`);
  });

  it('says of a full disk that it is full, refuses nobody for it, and leaves nothing half written', () => {
    // Each write to it finds no room.
    fs.symlinkSync('/dev/full', join(directory, 'owner.tmp'));
    expect(claim()).toMatch(/ENOSPC/);
    expect(fs.readdirSync(directory)).toEqual([]);
  });

  it('says which option gives a directory that cannot be used', () => {
    fs.writeFileSync(join(directory, 'file'), '');
    expect(thrownBy(() => claim(join(directory, 'file/below')))).toMatch(
      /^FAILED_PRECONDITION .*\/file\/below \(--some-dir\) cannot be used: .*ENOTDIR/,
    );
  });

  it.each([
    ['nobody', ''],
    ['nonsense', 'nonsense'],
    ['a pid that is free', `99999999 5 ${BOOT}`],
    ['a path', `../.. 5 ${BOOT}`],
    ['an earlier process of a pid', `${process.ppid} 1 ${BOOT}`],
    ['a process of another boot', `${process.ppid} ${startOf(process.ppid)} another`],
  ])('takes what %s owns', (_, text) => {
    owned(text);
    claim();
    expect(owner()).toBe(`${process.pid} ${startOf(process.pid)} ${BOOT}`);
  });
});
