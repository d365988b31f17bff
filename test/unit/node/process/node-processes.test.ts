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
  [['node', '/opt/dockbridge/dist/main.js', 'switch', 'check'], undefined],
  [['node', '/usr/bin/dockbridge'], { name: 'dockbridge', pid: 5, args: [] }],
  [['node', '/usr/bin/dockbridge', 'hand-over'], undefined],
  [
    ['/usr/lib/dockbridge/node', '--enable-source-maps', '/usr/lib/dockbridge/main.js', 'serve'],
    { name: 'dockbridge', pid: 5, args: ['serve'] },
  ],
  [['node', '--enable-source-maps', '/usr/lib/dockbridge/main.js', 'doctor'], undefined],
  [['node', '--version'], undefined],
  [['node', 'dist/main.js', 'serve'], { name: 'dockbridge', pid: 5, args: ['serve'] }],
  [['node', 'dist/main.js'], undefined],
  [['node', '/src/dockbridge/node_modules/.bin/jest'], undefined],
  [['node', 'server.js'], undefined],
  [[], undefined],
])('a process %j', (words, found) => expect(asNodeProcess(5, words)).toEqual(found));

describe('the processes of this node', () => {
  let proc: string;
  beforeEach(async () => {
    proc = await mkdtemp(join(tmpdir(), 'proc-'));
    await add('self', 'net:[1]', []);
  });
  afterEach(() => rm(proc, { recursive: true }));

  async function add(pid: string, network: string, words: readonly string[], exe = '/bin/x'): Promise<void> {
    await mkdir(join(proc, pid, 'ns'), { recursive: true });
    await symlink(network, join(proc, pid, 'ns/net'));
    await symlink(exe, join(proc, pid, 'exe'));
    await writeFile(join(proc, pid, 'cmdline'), words.map((word) => `${word}\0`).join(''));
  }

  it('are known by what they were called as, or by their executable, also one that was replaced', async () => {
    await add('7', 'net:[1]', ['/usr/bin/kubelet', '--config=/a']);
    await add('8', 'net:[1]', ['renamed', '--config=/b'], '/usr/bin/kubelet (deleted)');
    await add('9', 'net:[2]', ['/usr/bin/kubelet']);
    await add('10', 'net:[1]', ['sh']);
    expect(await findProcesses(proc)).toEqual([
      { name: 'kubelet', pid: 7, args: ['--config=/a'] },
      { name: 'kubelet', pid: 8, args: ['--config=/b'] },
    ]);
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
  ])('$name $words uses $root: $is', async ({ name, words, root, is }) => {
    await mkdir(join(proc, '12'));
    await mkdir(join(proc, '13'));
    await mkdir(join(proc, 'sys'));
    await writeFile(join(proc, '12/comm'), `${name}\n`);
    await writeFile(join(proc, '12/cmdline'), [`/usr/bin/${name}`, ...words, ''].join('\0'));
    expect(await isCriDockerdAt(root, proc)).toBe(is);
  });
});
