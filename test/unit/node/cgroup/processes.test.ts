import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { processesBelow } from '../../../../src/node/cgroup/processes';

describe('processesBelow', () => {
  let root: string;
  beforeEach(async () => (root = await mkdtemp(join(tmpdir(), 'dockbridge-group-'))));
  afterEach(() => rm(root, { recursive: true }));

  it('finds those of the group and of groups below, however deep', async () => {
    await writeFile(join(root, 'cgroup.procs'), '1\n2\n');
    const deep = join(root, 'kubelet/kubepods/burstable/pod1/container/init.scope/unit');
    await mkdir(deep, { recursive: true });
    for (let at = deep; at !== root; at = join(at, '..')) await writeFile(join(at, 'cgroup.procs'), '');
    await writeFile(join(deep, 'cgroup.procs'), '70\n');
    expect(await processesBelow(root)).toEqual([1, 2, 70]);
  });

  it('says when the group is gone', async () => {
    expect(await processesBelow(join(root, 'gone'))).toBeUndefined();
  });
});
