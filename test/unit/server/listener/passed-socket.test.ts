import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listensAt, passedPath, passedSocket } from '../../../../src/server/listener/socket-listener';

/** The format of the kernel's /proc/net/unix. */
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

describe('the socket that systemd passes', () => {
  it.each<[string, NodeJS.ProcessEnv, number | undefined]>([
    ['one descriptor', { LISTEN_PID: '7', LISTEN_FDS: '1' }, 3],
    ['several descriptors', { LISTEN_PID: '7', LISTEN_FDS: '3' }, 3],
    ['no descriptor', { LISTEN_PID: '7', LISTEN_FDS: '0' }, undefined],
    ['a number with a fraction', { LISTEN_PID: '7', LISTEN_FDS: '1.5' }, undefined],
    ['nonsense', { LISTEN_PID: '7', LISTEN_FDS: 'x' }, undefined],
    ['variables for another process', { LISTEN_PID: '8', LISTEN_FDS: '1' }, undefined],
    ['no variables', {}, undefined],
  ])('is the first descriptor, if there is one: %s', (_, env, fd) => expect(passedSocket(env, 7)).toBe(fd));
});

describe('passedPath', () => {
  it.each([
    ['is a socket with a name', 'socket:[24680]', '/run/cri-dockerd.sock'],
    ['has a space', 'socket:[123]', '/run/with a space.sock'],
    ['has no name', 'socket:[1234]', ''],
    ['belongs to another network namespace', 'socket:[99]', ''],
    ['is not a socket', '/dev/null', ''],
  ])('returns the path, or an empty text, for a descriptor that %s', async (_what, target, path) => {
    await symlink(target, join(proc, '7/fd/3'));
    expect(await passedPath(7, proc)).toBe(path);
  });

  it('returns an empty text for a process that has no passed socket or has ended', async () => {
    expect([await passedPath(7, proc), await passedPath(8, proc)]).toEqual(['', '']);
  });
});

describe('listensAt', () => {
  it('returns true for our own path under any of its names, and otherwise the path of the socket', async () => {
    await symlink('socket:[24680]', join(proc, 'self/fd/4'));
    expect(await listensAt(4, '/var/run/cri-dockerd.sock', proc)).toBe(true);
    expect(await listensAt(4, '/run/dockbridge.sock', proc)).toBe('/run/cri-dockerd.sock');
  });
});
