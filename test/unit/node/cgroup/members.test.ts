import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cgroupMembers, isInContainer, processesBelow } from '../../../../src/node/cgroup/members';

describe('isInContainer', () => {
  it.each([
    { desc: 'a part of our own cgroup path', pid: process.pid, id: '/', is: true },
    { desc: "a stranger's id", pid: process.pid, id: 'f'.repeat(64), is: false },
    { desc: 'a pid that does not exist', pid: 2 ** 30, id: '/', is: false },
  ])('$desc', async ({ pid, id, is }) => {
    await expect(isInContainer(pid, id)).resolves.toBe(is);
  });
});

describe('cgroupMembers', () => {
  // That it finds them is seen where commands time out in real containers: exec-sync, streaming-sessions.
  it.each([
    { desc: 'has ended', pid: 2 ** 22 + 1 },
    { desc: 'is somebody else’s', pid: process.pid },
  ])('knows none where the process $desc', async ({ pid }) => {
    await expect(cgroupMembers(pid, 'c0ffee')()).resolves.toBeUndefined();
  });
});

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
