import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ProcessClaims } from '../../../../src/node/process/process-claims';
import { processName } from '../../../../src/node/process/process-info';

const KEY = '0a1b2c';

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

it('are put up with what the process says of itself, as often as it likes, and taken down', async () => {
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

it('of another process that lives are told, and keep ours from staying', async () => {
  const file = await claimOfOther('process 1\nrun directory /other\n');
  expect(await claims.take(KEY)).toEqual({
    process: await processName(other.pid ?? 0),
    words: 'process 1, run directory /other',
  });
  expect((await readdir(directory)).filter((name) => name.startsWith(KEY))).toEqual([file]);
  // Another thing is nobody's.
  expect(await claims.take('0a1b')).toBeUndefined();
});

it('of killed processes are swept away, whatever they were for, and no others', async () => {
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
  expect(await readdir(directory)).toEqual([...Object.values(rest), await fileOf(process.pid, 'ee')].sort());
  expect(await claims.otherWith('dd')).toMatchObject({ words: `process ${other.pid}` });
  // Where nobody has ever claimed anything.
  await new ProcessClaims(join(root, 'none'), []).sweep();
});

it('without words tell the process at least: the disk was full', async () => {
  await claimOfOther('');
  expect(await claims.otherWith(KEY)).toMatchObject({ words: `process ${other.pid}` });
});

it('of a process that is gone count for nothing, and are removed', async () => {
  await claimOfOther('');
  other.kill('SIGKILL');
  await once(other, 'exit');
  expect(await claims.take(KEY)).toBeUndefined();
  expect((await readdir(directory)).filter((name) => name.startsWith(KEY))).toEqual([
    await fileOf(process.pid),
  ]);
});

it('of an earlier process with the same pid, or before a boot, count for nothing', async () => {
  const [, pid, start, boot] = (await claimOfOther('')).split('.');
  await rm(join(directory, await fileOf(other.pid)));
  await writeFile(join(directory, `${KEY}.${pid}.1.${boot}`), '');
  await writeFile(join(directory, `${KEY}.${pid}.${start}.${'0'.repeat(8)}`), '');
  await writeFile(join(directory, 'README'), '');
  expect(await claims.take(KEY)).toBeUndefined();
});

it('of two that come at once, both are refused at worst', async () => {
  // The rival puts its own up between our two looks.
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

it('that cannot be written down are an error', async () => {
  await expect(new ProcessClaims('/proc/version/none', []).take(KEY)).rejects.toThrow(/ENOTDIR/);
});
