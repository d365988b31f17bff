import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listensAt, passedPath } from '../../../../src/server/listener/socket-listener';

/** As the kernel writes /proc/net/unix. */
const UNIX = [
  'Num       RefCount Protocol Flags    Type St Inode Path',
  '0000000000000000: 00000002 00000000 00010000 0001 01 24680 /run/cri-dockerd.sock',
  '0000000000000000: 00000003 00000000 00000000 0001 03 1234',
  '0000000000000000: 00000002 00000000 00010000 0001 01 123 /run/with a space.sock',
  '',
].join('\n');

let proc: string;

beforeEach(async () => {
  proc = await mkdtemp(join(tmpdir(), 'passed-socket-'));
  for (const process of ['7', 'self']) {
    await mkdir(join(proc, process, 'fd'), { recursive: true });
    await mkdir(join(proc, process, 'net'));
    await writeFile(join(proc, process, 'net/unix'), UNIX);
  }
});
afterEach(() => rm(proc, { recursive: true }));

describe('passedPath', () => {
  it.each([
    ['a socket unit listens at', 'socket:[24680]', '/run/cri-dockerd.sock'],
    ['has a space', 'socket:[123]', '/run/with a space.sock'],
    ['has no name', 'socket:[1234]', ''],
    ['is of another network namespace', 'socket:[99]', ''],
    ['is no socket', '/dev/null', ''],
  ])('a descriptor that %s', async (_what, target, path) => {
    await symlink(target, join(proc, '7/fd/3'));
    expect(await passedPath(7, proc)).toBe(path);
  });

  it('a process that has none, or has ended', async () => {
    expect([await passedPath(7, proc), await passedPath(8, proc)]).toEqual(['', '']);
  });
});

describe('listensAt', () => {
  it('compares with our own path, by whichever of its names', async () => {
    await symlink('socket:[24680]', join(proc, 'self/fd/4'));
    expect(await listensAt(4, '/var/run/cri-dockerd.sock', proc)).toBe(true);
    expect(await listensAt(4, '/run/dockbridge.sock', proc)).toBe('/run/cri-dockerd.sock');
  });
});
