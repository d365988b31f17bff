import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isCriDockerdAt } from '../../../../src/node/process/cri-dockerd-process';

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
