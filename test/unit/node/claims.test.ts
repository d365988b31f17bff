import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { claimDirectory, ProcessClaims } from '../../../src/node/claims';
import { processName } from '../../../src/node/process/process-info';
import { thrownBy } from '../support/errors';

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

  it('creates the directory, and lets its owner claim it again', () => {
    const state = join(directory, 'a/b');
    claim(state);
    claim(state);
    expect(fs.statSync(state).mode & 0o777).toBe(0o700);
  });

  it('refuses while another process lives, and accepts when it is gone', async () => {
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

  it('reports a full disk, refuses nobody because of it, and leaves no half-written file', () => {
    // The disk is full for each write to the file.
    fs.symlinkSync('/dev/full', join(directory, 'owner.tmp'));
    expect(claim()).toMatch(/ENOSPC/);
    expect(fs.readdirSync(directory)).toEqual([]);
  });

  it('names the option whose directory cannot be used', () => {
    fs.writeFileSync(join(directory, 'file'), '');
    expect(thrownBy(() => claim(join(directory, 'file/below')))).toMatch(
      /^FAILED_PRECONDITION .*\/file\/below \(--some-dir\) cannot be used: .*ENOTDIR/,
    );
  });

  it.each([
    ['nobody', ''],
    ['nonsense', 'nonsense'],
    ['a pid without a process', `99999999 5 ${BOOT}`],
    ['a different file', `../.. 5 ${BOOT}`],
    ['an earlier process with the same pid', `${process.ppid} 1 ${BOOT}`],
    ['a process of another boot', `${process.ppid} ${startOf(process.ppid)} another`],
  ])('replaces a claim of %s', (_, text) => {
    owned(text);
    claim();
    expect(owner()).toBe(`${process.pid} ${startOf(process.pid)} ${BOOT}`);
  });
});

const KEY = '0a1b2c';

describe('ProcessClaims', () => {
  let root: string;
  let directory: string;
  let claims: ProcessClaims;
  let other: ChildProcess;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'dockbridge-claims-'));
    directory = join(root, 'a/b');
    claims = new ProcessClaims(directory, ['run directory /r', 'socket unix:///s']);
    other = spawn('sleep', ['1000']);
  });
  afterEach(async () => {
    other.kill('SIGKILL');
    await rm(root, { recursive: true });
  });

  const namespaceLine = async (): Promise<string> => `namespace ${await readlink('/proc/self/ns/pid')}`;

  const fileOf = async (pid: number | undefined, key = KEY): Promise<string> =>
    [key, ...((await processName(pid ?? 0)) ?? '').split(' ')].join('.');

  async function claimOfOther(words: string): Promise<string> {
    await claims.take('ff');
    const file = await fileOf(other.pid);
    await writeFile(join(directory, file), words);
    return file;
  }

  it("are written once with the process's description, and removed", async () => {
    expect(await claims.take(KEY)).toBeUndefined();
    expect(await claims.take(KEY)).toBeUndefined();
    const own = await fileOf(process.pid);
    expect(await readdir(directory)).toEqual([own]);
    expect(await readFile(join(directory, own), 'utf8')).toBe(
      `process ${process.pid}\nrun directory /r\nsocket unix:///s\n${await namespaceLine()}\n`,
    );
    await claims.release(KEY);
    await claims.release(KEY);
    expect(await readdir(directory)).toEqual([]);
  });

  it('of another living process are reported, and our own is withdrawn', async () => {
    const file = await claimOfOther('process 1\nrun directory /other\n');
    expect(await claims.take(KEY)).toEqual({
      process: await processName(other.pid ?? 0),
      words: 'process 1, run directory /other',
    });
    expect((await readdir(directory)).filter((name) => name.startsWith(KEY))).toEqual([file]);
    // Nobody has claimed the other key.
    expect(await claims.take('0a1b')).toBeUndefined();
  });

  it('of killed processes are removed, whatever they were for, and no others', async () => {
    const [boot = ''] = ((await processName(process.pid)) ?? '').split(' ').slice(2);
    const names = {
      dead: `aa.${other.pid}.1.${boot}`,
      elsewhere: `bb.${other.pid}.1.${boot}`,
      old: `cc.${other.pid}.1.${boot}`,
      living: await fileOf(other.pid, 'dd'),
      nothingOfOurs: 'readme',
    };
    await claims.take('ee');
    const write = (name: string, text: string): Promise<void> => writeFile(join(directory, name), text);
    await write(names.dead, `process ${other.pid}\n${await namespaceLine()}\n`);
    await write(names.elsewhere, `process ${other.pid}\nnamespace pid:[1]\n`);
    await write(names.old, `process ${other.pid}\n`);
    await write(names.living, `process ${other.pid}\n${await namespaceLine()}\n`);
    await write(names.nothingOfOurs, await namespaceLine());
    await claims.sweep();
    const { dead: _, ...rest } = names;
    expect(await readdir(directory)).toEqual(
      [...Object.values(rest), await fileOf(process.pid, 'ee')].sort(),
    );
    expect(await claims.otherWith('dd')).toMatchObject({ words: `process ${other.pid}` });
    // A missing directory has no claims to remove.
    await new ProcessClaims(join(root, 'none'), []).sweep();
  });

  it('without a description still name the process, as after a full disk', async () => {
    await claimOfOther('');
    expect(await claims.otherWith(KEY)).toMatchObject({ words: `process ${other.pid}` });
  });

  it('of a process that is gone are ignored and removed', async () => {
    await claimOfOther('');
    other.kill('SIGKILL');
    await once(other, 'exit');
    expect(await claims.take(KEY)).toBeUndefined();
    expect((await readdir(directory)).filter((name) => name.startsWith(KEY))).toEqual([
      await fileOf(process.pid),
    ]);
  });

  it('of an earlier process with the same pid, or from before a boot, are ignored', async () => {
    const [, pid, start, boot] = (await claimOfOther('')).split('.');
    await rm(join(directory, await fileOf(other.pid)));
    await writeFile(join(directory, `${KEY}.${pid}.1.${boot}`), '');
    await writeFile(join(directory, `${KEY}.${pid}.${start}.${'0'.repeat(8)}`), '');
    await writeFile(join(directory, 'README'), '');
    expect(await claims.take(KEY)).toBeUndefined();
  });

  it('of two processes that come at once are never both accepted', async () => {
    // The rival writes its claim between our two checks.
    const rival = new (class extends ProcessClaims {
      private looks = 0;
      override async otherWith(key: string): ReturnType<ProcessClaims['otherWith']> {
        if (this.looks++ === 1) await claimOfOther('');
        return super.otherWith(key);
      }
    })(directory, []);
    expect(await rival.take(KEY)).toMatchObject({ words: `process ${other.pid}` });
    expect(await readdir(directory)).not.toContain(await fileOf(process.pid));
  });

  it('that cannot be written cause an error', async () => {
    await expect(new ProcessClaims('/proc/version/none', []).take(KEY)).rejects.toThrow(/ENOTDIR/);
  });
});
