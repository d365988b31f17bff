import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { GroupPath } from '../../../src/node/cgroup';
import { V1Group } from '../../../src/stats/cgroup/v1-group';
import { ReadingClock } from '../../../src/stats/readings';
import { FilePlaces } from '../../../src/stats/cgroup/held-files';

const MIB = 2 ** 20;
const UNLIMITED = '9223372036854771712';

/** The files of a v1 kernel, reduced to the lines that are read. `total_` lines include the cgroups below. */
const MEMORY_STAT = `cache 4096
rss 8192
pgfault 10
pgmajfault 1
inactive_file 4096
hierarchical_memory_limit ${64 * MIB}
hierarchical_memsw_limit ${96 * MIB}
total_cache ${6 * MIB}
total_rss ${10 * MIB}
total_mapped_file ${2 * MIB}
total_swap ${MIB}
total_pgfault 300
total_pgmajfault 4
total_inactive_file ${5 * MIB}
`;

const FILES: Readonly<Record<string, string>> = {
  'cpuacct/cpuacct.usage': '5248197000\n',
  'cpuacct/cpuacct.stat': 'user 95\nsystem 428\n',
  'cpu/cpu.stat': 'nr_periods 262\nnr_throttled 261\nthrottled_time 37116797000\n',
  'memory/memory.usage_in_bytes': `${20 * MIB}\n`,
  'memory/memory.max_usage_in_bytes': `${32 * MIB}\n`,
  'memory/memory.kmem.usage_in_bytes': '679936\n',
  'memory/memory.failcnt': '538\n',
  'memory/memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 3\n',
  'memory/memory.stat': MEMORY_STAT,
  'pids/pids.current': '6\n',
  'pids/pids.max': '100\n',
  'blkio/blkio.throttle.io_service_bytes_recursive': '8:0 Read 4096\n8:0 Write 512\n8:0 Total 4608\n',
  'blkio/blkio.throttle.io_serviced_recursive': '8:0 Read 2\n8:0 Write 1\nTotal 3\n',
  'hugetlb/hugetlb.2MB.usage_in_bytes': '0\n',
  'hugetlb/hugetlb.2MB.max_usage_in_bytes': '4194304\n',
  'hugetlb/hugetlb.2MB.limit_in_bytes': `${UNLIMITED}\n`,
};

describe('a cgroup on a cgroup v1 machine', () => {
  let root: string;
  let group: V1Group;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'dockbridge-v1-'));
    const path: GroupPath = {
      name: '/docker/c1',
      directoryOf: (controller) => join(root, controller),
      processDirectory: undefined,
      parent: () => path,
    };
    group = new V1Group(path, new ReadingClock(() => 1_700_000_000_000), new FilePlaces(100));
  });
  afterEach(async () => {
    await group.close();
    await rm(root, { recursive: true });
  });

  async function write(files = FILES): Promise<void> {
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(root, name)), { recursive: true });
      await writeFile(join(root, name), text);
    }
  }

  it('includes the cgroups below it, and computes swap from the limit of memory plus swap', async () => {
    await write();
    const { cpu, memory, swap } = (await group.usage()) ?? {};
    expect(cpu?.usageNanos.toString()).toBe('5248197000');
    expect(memory).toMatchObject({
      usage: 20 * MIB,
      workingSet: 15 * MIB,
      limit: 64 * MIB,
      rss: 10 * MIB,
      pageFaults: 300,
      majorPageFaults: 4,
    });
    expect(swap).toMatchObject({ usage: MIB, limit: 32 * MIB });
  });

  it('returns the values for metrics, with times in ticks if the kernel has no finer ones', async () => {
    await write();
    const detail = await group.detail();
    expect([detail?.userNanos, detail?.systemNanos, detail?.throttledNanos].map(String)).toEqual([
      '950000000',
      '4280000000',
      '37116797000',
    ]);
    expect(detail).toMatchObject({
      ...{ periods: 262, throttledPeriods: 261, cache: 6 * MIB, mappedFile: 2 * MIB, kernel: 679_936 },
      ...{ maxUsage: 32 * MIB, limitHits: 538, ownPageFaults: 10, ownMajorPageFaults: 1, oomKills: 3 },
      ...{ tasks: 6, tasksLimit: 100, hugePages: [{ size: '2MB', usage: 0, maxUsage: 4 * MIB }] },
      devices: [{ major: '8', minor: '0', readBytes: 4096, writeBytes: 512, reads: 2, writes: 1 }],
    });
  });

  it("has no limits if the kernel returns a number beyond any machine's size", async () => {
    const stat = MEMORY_STAT.replace(/(limit) \d+/g, `$1 ${UNLIMITED}`);
    await write({ ...FILES, 'memory/memory.stat': stat, 'pids/pids.max': 'max\n' });
    const detail = await group.detail();
    expect(detail?.usage.memory?.limit).toBeUndefined();
    expect(detail?.usage.swap).toMatchObject({ usage: MIB, limit: undefined });
    expect(detail?.tasksLimit).toBeUndefined();
  });

  it('has no swap if the kernel does not account for it', async () => {
    await write({ ...FILES, 'memory/memory.stat': MEMORY_STAT.replace(/total_swap.*\n/, '') });
    expect((await group.usage())?.swap).toBeUndefined();
  });

  it('has no reading once the cgroup is gone', async () => {
    expect(await group.usage()).toBeUndefined();
    expect(await group.detail()).toBeUndefined();
  });
});
