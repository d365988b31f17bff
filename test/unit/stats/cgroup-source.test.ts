import { mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Hierarchies } from '../../../src/node/cgroup';
import { CgroupSource } from '../../../src/stats/cgroup/cgroup-source';
import { ReadingClock } from '../../../src/stats/readings';

/** The contents of /proc in these tests, by path. */
const mockProc = new Map<string, string>();
jest.mock('../../../src/node/disk/files', () => ({
  readText: (path: string) => Promise.resolve(mockProc.get(path)),
}));

const ID = 'c1';
const NET_DEV = '  eth0:21 22 23 24 0 0 0 0 25 26 27 28 0 0 0 0\n';

describe('CgroupSource', () => {
  let root: string;
  let source: CgroupSource;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'cgroup-source-'));
    const hierarchies: Hierarchies = { version: 2, unified: { mountPoint: root, root: '/' } };
    source = new CgroupSource(hierarchies, new ReadingClock(), 100);
    for (const [group, micros] of Object.entries({ 'pod/c1-a': 5, 'pod/c1-b': 7, pod: 11 })) {
      mkdirSync(join(root, group), { recursive: true });
      writeFileSync(join(root, group, 'cpu.stat'), `usage_usec ${micros}\n`);
    }
    mockProc.clear();
    mockProc.set('/proc/200/cgroup', '0::/pod/c1-a\n').set('/proc/201/cgroup', '0::/pod/c1-b\n');
    mockProc.set('/proc/202/cgroup', '0::/other/c2\n');
    for (const pid of [200, 202]) mockProc.set(`/proc/${pid}/net/dev`, NET_DEV);
  });
  afterEach(async () => {
    await source.close();
    rmSync(root, { recursive: true });
  });

  const used = async (pid: number): Promise<number | undefined> =>
    (await source.usage({ id: ID, pid }))?.cpu?.usageNanos.toNumber();

  /** Returns the files below the cgroups that this process holds open. */
  const held = (): string[] =>
    readdirSync('/proc/self/fd').flatMap((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith(root) ? [fd] : [];
      } catch {
        return [];
      }
    });

  it("reads the cgroup of the container's present process, and closes the earlier one", async () => {
    expect([await used(200), await used(200), held().length]).toEqual([5_000, 5_000, 1]);
    expect([await used(201), held().length]).toEqual([7_000, 1]);
  });

  it('reads nothing for a process outside the container, whose pid was reused', async () => {
    expect(await used(202)).toBeUndefined();
    expect(await source.interfaces({ id: ID, pid: 202 })).toBeUndefined();
    expect(await source.interfaces({ id: ID, pid: 200 })).toMatchObject([{ name: 'eth0', rxBytes: 21 }]);
  });

  it('looks again for a cgroup that was not found', async () => {
    expect(await used(203)).toBeUndefined();
    mockProc.set('/proc/203/cgroup', '0::/pod/c1-b\n');
    expect(await used(203)).toBe(7_000);
  });

  it("reads the pod's own cgroup, above that of its sandbox", async () => {
    expect((await source.podUsage({ id: ID, pid: 200 }))?.cpu?.usageNanos.toNumber()).toBe(11_000);
  });

  it("returns the details of both cgroups with their names, and the processes of the pod's own", async () => {
    const target = { id: ID, pid: 200 };
    mockProc.set(join(root, 'pod/c1-a/cgroup.procs'), '200\n207\n');
    expect(await source.cgroupName(target)).toBe('/pod/c1-a');
    const own = await source.detail(target);
    expect([own?.cgroup, own?.usage.cpu?.usageNanos.toNumber()]).toEqual(['/pod/c1-a', 5_000]);
    const above = await source.podDetail(target);
    expect([above?.cgroup, above?.usage.cpu?.usageNanos.toNumber()]).toEqual(['/pod', 11_000]);
    expect(await source.processes(target)).toEqual([200, 207]);
    await source.forget(ID);
    await source.watch(target);
    expect(held()).toHaveLength(1);
  });

  it('holds no file of a container that has ended', async () => {
    await used(200);
    await source.podUsage({ id: ID, pid: 200 });
    expect(held()).toHaveLength(2);
    await source.forget(ID);
    expect(held()).toEqual([]);
    await used(200);
    await source.close();
    expect(held()).toEqual([]);
  });
});
