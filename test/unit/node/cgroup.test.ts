import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  cgroupMembers,
  findHierarchies,
  groupOfContainer,
  type Hierarchies,
  isInContainer,
  processesBelow,
} from '../../../src/node/cgroup';
import { recordedHierarchies, recordedText } from '../stats/support/v2-host';
import { engineId } from '../support/records';

const ID = engineId('c1');
const V1_MOUNTS = `31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw`;

function hierarchiesOf(mountinfo: string): Hierarchies {
  const found = findHierarchies(mountinfo);
  if (found === undefined) throw new Error('no cgroups found');
  return found;
}

describe('findHierarchies', () => {
  it('finds the single hierarchy of a recorded cgroup v2 machine', () => {
    expect(recordedHierarchies()).toEqual({
      version: 2,
      unified: { mountPoint: '/sys/fs/cgroup', root: '/' },
    });
  });

  it('treats a hybrid machine as cgroup v1, and finds controllers that share a hierarchy', () => {
    const found = hierarchiesOf(V1_MOUNTS);
    const controllers = found.version === 1 ? found.controllers : new Map<string, unknown>();
    expect(controllers.get('cpuacct')).toEqual({ mountPoint: '/sys/fs/cgroup/cpu,cpuacct', root: '/' });
    expect(controllers.get('cpu')).toBe(controllers.get('cpuacct'));
    expect(controllers.has('blkio')).toBe(false);
  });

  it('reads escaped mount points', () => {
    const found = hierarchiesOf('1 1 0:1 / /odd\\040place rw - cgroup2 cgroup2 rw');
    expect(found).toMatchObject({ unified: { mountPoint: '/odd place' } });
  });

  it('finds nothing on a machine without cgroups', () => {
    expect(findHierarchies('1 1 0:2 / / rw - rootfs rootfs rw')).toBeUndefined();
  });
});

describe('groupOfContainer', () => {
  it.each([
    [
      'limited',
      '/kubepods/burstable/pod6f0e5a52-0a8b-4c58-9f60-1f7f9f1f3a11/aaaa4f0c1d2e3b4a5968778695a4b3c2d1e0f00112233445566778899aabbcc1',
    ],
    [
      'unlimited',
      '/system.slice/docker-bbbb4f0c1d2e3b4a5968778695a4b3c2d1e0f00112233445566778899aabbcc2.scope',
    ],
  ])('finds the cgroup on a recorded cgroup v2 machine: %s', (name, path) => {
    const id = /[0-9a-f]{60,}/.exec(path)?.[0] ?? '';
    const group = groupOfContainer(recordedText(`proc-cgroup-${name}`), id, recordedHierarchies());
    expect(group?.name).toBe(path);
    expect(group?.directoryOf('memory')).toBe(`/sys/fs/cgroup${path}`);
    expect(group?.parent().directoryOf('')).toBe(`/sys/fs/cgroup${path.slice(0, path.lastIndexOf('/'))}`);
  });

  it('finds the cgroup in each hierarchy of a cgroup v1 machine', () => {
    const text = `9:memory:/kubepods/pod1/${ID}\n2:cpu,cpuacct:/kubepods/pod1/${ID}\n0::/\n`;
    const group = groupOfContainer(text, ID, hierarchiesOf(V1_MOUNTS));
    expect(group?.directoryOf('cpuacct')).toBe(`/sys/fs/cgroup/cpu,cpuacct/kubepods/pod1/${ID}`);
    expect(group?.directoryOf('memory')).toBe(`/sys/fs/cgroup/memory/kubepods/pod1/${ID}`);
    expect(group?.directoryOf('pids')).toBeUndefined();
    expect(group?.processDirectory).toBe(group?.directoryOf('memory'));
    expect(group?.parent().name).toBe('/kubepods/pod1');
    expect(group?.parent().directoryOf('memory')).toBe('/sys/fs/cgroup/memory/kubepods/pod1');
  });

  it('ignores that a process moved into a cgroup of its own', () => {
    const group = groupOfContainer(`0::/docker/${ID}/init.scope\n`, ID, recordedHierarchies());
    expect(group?.name).toBe(`/docker/${ID}`);
  });

  it('works in a cgroup namespace of our own', () => {
    const mounts = hierarchiesOf('1 1 0:1 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw');
    const group = groupOfContainer(`0::/../../docker/${ID}\n`, ID, mounts);
    expect(group?.directoryOf('')).toBe(`/sys/fs/cgroup/docker/${ID}`);
  });

  it('ignores the cgroup of another process with a reused pid', () => {
    expect(groupOfContainer('0::/system.slice/ssh.service\n', ID, recordedHierarchies())).toBeUndefined();
    const other = groupOfContainer(`0::/docker/${engineId('c2')}\n`, ID, recordedHierarchies());
    expect(other).toBeUndefined();
  });
});

describe('isInContainer', () => {
  it.each([
    { desc: 'a part of our own cgroup path', pid: process.pid, id: '/', is: true },
    { desc: 'the id of a foreign container', pid: process.pid, id: 'f'.repeat(64), is: false },
    { desc: 'a pid that does not exist', pid: 2 ** 30, id: '/', is: false },
  ])('returns $is for $desc', async ({ pid, id, is }) => {
    await expect(isInContainer(pid, id)).resolves.toBe(is);
  });
});

describe('cgroupMembers', () => {
  // The integration tests show that cgroupMembers finds the processes of a real container.
  it.each([
    { desc: 'has ended', pid: 2 ** 22 + 1 },
    { desc: 'belongs to another container', pid: process.pid },
  ])('returns none if the process $desc', async ({ pid }) => {
    await expect(cgroupMembers(pid, 'c0ffee')()).resolves.toBeUndefined();
  });
});

describe('processesBelow', () => {
  let root: string;
  beforeEach(async () => (root = await mkdtemp(join(tmpdir(), 'dockbridge-group-'))));
  afterEach(() => rm(root, { recursive: true }));

  it('finds the processes of the cgroup and of all cgroups below it', async () => {
    await writeFile(join(root, 'cgroup.procs'), '1\n2\n');
    const deep = join(root, 'kubelet/kubepods/burstable/pod1/container/init.scope/unit');
    await mkdir(deep, { recursive: true });
    for (let at = deep; at !== root; at = join(at, '..')) await writeFile(join(at, 'cgroup.procs'), '');
    await writeFile(join(deep, 'cgroup.procs'), '70\n');
    expect(await processesBelow(root)).toEqual([1, 2, 70]);
  });

  it('reports that the cgroup is gone', async () => {
    expect(await processesBelow(join(root, 'gone'))).toBeUndefined();
  });
});
