import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listensAt, passedSocket } from '../../../../src/server/listener/passed-socket';

describe('the socket that systemd passes', () => {
  it.each<[string, NodeJS.ProcessEnv, number | undefined]>([
    ['one', { LISTEN_PID: '7', LISTEN_FDS: '1' }, 3],
    ['several', { LISTEN_PID: '7', LISTEN_FDS: '3' }, 3],
    ['none', { LISTEN_PID: '7', LISTEN_FDS: '0' }, undefined],
    ['half of one', { LISTEN_PID: '7', LISTEN_FDS: '1.5' }, undefined],
    ['nonsense', { LISTEN_PID: '7', LISTEN_FDS: 'x' }, undefined],
    ['one for another process', { LISTEN_PID: '8', LISTEN_FDS: '1' }, undefined],
    ['nothing', {}, undefined],
  ])('is the first descriptor of %s', (_, env, fd) => expect(passedSocket(env, 7)).toBe(fd));
});

describe('where a socket listens', () => {
  let proc: string;
  beforeEach(async () => {
    proc = await mkdtemp(join(tmpdir(), 'dockbridge-proc-'));
    await mkdir(join(proc, 'self/fd'), { recursive: true });
    await mkdir(join(proc, 'net'));
    await symlink('socket:[42]', join(proc, 'self/fd/3'));
  });
  afterEach(() => rm(proc, { recursive: true }));

  const at = async (...rows: string[]): Promise<true | string> => {
    const head = 'Num       RefCount Protocol Flags    Type St Inode Path';
    await writeFile(join(proc, 'net/unix'), [head, ...rows, ''].join('\n'));
    return listensAt(3, '/run/none/cri.sock', proc);
  };
  const row = (inode: number, path: string): string =>
    `0000000000000000: 00000002 00000000 00010000 0001 01 ${inode} ${path}`;

  it('is told by the kernel, by its inode', async () => {
    expect(await at(row(41, '/run/none/other'), row(42, '/run/none/cri.sock'))).toBe(true);
    expect(await at(row(42, '/run/none/other with space'), row(421, '/run/none/cri.sock'))).toBe(
      '/run/none/other with space',
    );
  });

  it('is nowhere where the kernel knows no path, or the descriptor is no socket', async () => {
    expect(await at(row(41, '/run/none/cri.sock'))).toBe('');
    await rm(join(proc, 'self/fd/3'));
    await symlink('/dev/null', join(proc, 'self/fd/3'));
    expect(await at(row(42, '/run/none/cri.sock'))).toBe('');
  });
});
