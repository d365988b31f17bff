import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asNodeProcess, findProcesses, isCriDockerdAt } from '../../../../src/node/process/node-processes';

it.each([
  [['/usr/bin/cri-dockerd', '--x'], { name: 'cri-dockerd', pid: 5, args: ['--x'] }],
  [['kubelet'], { name: 'kubelet', pid: 5, args: [] }],
  [['/usr/bin/dockerd', '-H', 'fd://'], { name: 'dockerd', pid: 5, args: ['-H', 'fd://'] }],
  [
    ['/usr/bin/node', '/opt/dockbridge/dist/main.js', 'serve'],
    { name: 'dockbridge', pid: 5, args: ['serve'] },
  ],
  [['node', '/usr/bin/dockbridge'], { name: 'dockbridge', pid: 5, args: [] }],
  [
    ['/usr/lib/dockbridge/node', '/usr/lib/dockbridge/main.js', 'serve'],
    { name: 'dockbridge', pid: 5, args: ['serve'] },
  ],
  [['node', 'dist/main.js', 'serve'], { name: 'dockbridge', pid: 5, args: ['serve'] }],
])('the command line %j identifies the process %j', (words, found) =>
  expect(asNodeProcess(5, words)).toEqual(found),
);

it.each([
  [['node', '/opt/dockbridge/dist/main.js', 'switch', 'check']],
  [['node', '/usr/bin/dockbridge', 'hand-over']],
  [['node', '--enable-source-maps', '/usr/lib/dockbridge/main.js', 'doctor']],
  [['node', '--version']],
  [['node', 'dist/main.js']],
  [['node', '/src/dockbridge/node_modules/.bin/jest']],
  [['node', 'server.js']],
  [[]],
])('the command line %j identifies neither a daemon nor a kubelet', (words) =>
  expect(asNodeProcess(5, words)).toBeUndefined(),
);

describe('the processes of this node', () => {
  let proc: string;
  beforeEach(async () => {
    proc = await mkdtemp(join(tmpdir(), 'proc-'));
    await add('self', 'net:[1]', [], { spaces: { pid: 'pid:[1]', mnt: 'mnt:[1]' } });
  });
  afterEach(() => rm(proc, { recursive: true }));

  const OWN = process.geteuid?.() ?? 0;

  async function add(
    pid: string,
    network: string,
    words: readonly string[],
    { exe = '/bin/x', uids = [OWN, OWN, OWN, OWN], spaces = {} } = {},
  ): Promise<void> {
    await mkdir(join(proc, pid, 'ns'), { recursive: true });
    for (const [kind, link] of Object.entries({ net: network, ...spaces }))
      await symlink(link, join(proc, pid, 'ns', kind));
    await symlink(exe, join(proc, pid, 'exe'));
    await writeFile(join(proc, pid, 'status'), `Name:\tx\nUid:\t${uids.join('\t')}\nGid:\t0\t0\t0\t0\n`);
    await writeFile(join(proc, pid, 'cmdline'), words.map((word) => `${word}\0`).join(''));
  }

  it('are recognized by their command name or their executable, even a replaced one', async () => {
    await add('7', 'net:[1]', ['/usr/bin/kubelet', '--config=/a']);
    await add('8', 'net:[1]', ['renamed', '--config=/b'], { exe: '/usr/bin/kubelet (deleted)' });
    await add('9', 'net:[2]', ['/usr/bin/kubelet']);
    await add('10', 'net:[1]', ['sh']);
    expect(await findProcesses(proc)).toEqual([
      { name: 'kubelet', pid: 7, args: ['--config=/a'] },
      { name: 'kubelet', pid: 8, args: ['--config=/b'] },
    ]);
  });

  const found = async (): Promise<number[]> => (await findProcesses(proc)).map(({ pid }) => pid);
  const DAEMON = ['/usr/bin/dockbridge', 'serve', '--run-dir=/tmp/evil'];

  it('are those of root and of this user in all four user IDs, because setuid programs accept any name', async () => {
    const other = OWN + 1;
    await add('7', 'net:[1]', DAEMON, { uids: [0, 0, 0, 0] });
    await add('8', 'net:[1]', DAEMON);
    await add('9', 'net:[1]', DAEMON, { uids: [other, other, other, other] });
    for (const at of [0, 1, 2, 3])
      await add(`1${at}`, 'net:[1]', DAEMON, { uids: [OWN, OWN, OWN, OWN].with(at, other) });
    await add('20', 'net:[1]', DAEMON);
    await rm(join(proc, '20/status'));
    expect(await found()).toEqual([7, 8]);
  });

  it('are those in our PID namespace', async () => {
    await add('7', 'net:[1]', DAEMON, { spaces: { pid: 'pid:[1]' } });
    await add('8', 'net:[1]', DAEMON, { spaces: { pid: 'pid:[2]' } });
    await add('9', 'net:[1]', ['/usr/bin/kubelet'], { spaces: { pid: 'pid:[2]' } });
    expect(await found()).toEqual([7]);
  });

  it('may see other files, unless they claim to be dockbridge', async () => {
    const spaces = { pid: 'pid:[1]', mnt: 'mnt:[2]' };
    await add('7', 'net:[1]', ['/usr/bin/kubelet'], { spaces });
    await add('8', 'net:[1]', DAEMON, { spaces });
    await add('9', 'net:[1]', DAEMON, { spaces: { ...spaces, mnt: 'mnt:[1]' } });
    expect(await found()).toEqual([7, 9]);
  });
});

describe('a running cri-dockerd', () => {
  let proc: string;
  beforeEach(async () => (proc = await mkdtemp(join(tmpdir(), 'proc-'))));
  afterEach(() => rm(proc, { recursive: true }));

  it.each([
    { name: 'cri-dockerd', words: [], root: '/var/lib/cri-dockerd', is: true },
    { name: 'cri-dockerd', words: [], root: '/srv/other', is: false },
    { name: 'cri-dockerd', words: ['--cri-dockerd-root-directory', '/srv/a/'], root: '/srv/a', is: true },
    { name: 'cri-dockerd', words: ['--cri-dockerd-root-directory=/srv/a'], root: '/srv/a', is: true },
    { name: 'cri-dockerd', words: ['--cri-dockerd-root-directory=/srv/b'], root: '/srv/a', is: false },
    { name: 'node', words: ['--cri-dockerd-root-directory=/srv/a'], root: '/srv/a', is: false },
  ])('called as $name $words uses $root: $is', async ({ name, words, root, is }) => {
    await mkdir(join(proc, '12'));
    await mkdir(join(proc, '13'));
    await mkdir(join(proc, 'sys'));
    await writeFile(join(proc, '12/comm'), `${name}\n`);
    await writeFile(join(proc, '12/cmdline'), [`/usr/bin/${name}`, ...words, ''].join('\0'));
    expect(await isCriDockerdAt(root, proc)).toBe(is);
  });
});
