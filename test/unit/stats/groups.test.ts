import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import Long from 'long';
import type { GroupPath, Hierarchies } from '../../../src/node/cgroup';
import { CgroupSource } from '../../../src/stats/cgroup/cgroup-source';
import { HugePageSizes } from '../../../src/stats/cgroup/group-reader';
import { FilePlaces, HeldFiles } from '../../../src/stats/cgroup/held-files';
import { limit, number } from '../../../src/node/cgroup-values';
import {
  blkio,
  ioStat,
  keyed,
  keyedLong,
  parseNetDev,
  pressure,
  workingSet,
} from '../../../src/stats/cgroup/parse';
import { V1Group } from '../../../src/stats/cgroup/v1-group';
import { V2Group } from '../../../src/stats/cgroup/v2-group';
import { ReadingClock } from '../../../src/stats/readings';

let root: string;
beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'dockbridge-groups-'))));
afterEach(() => rmSync(root, { recursive: true }));

function write(files: Readonly<Record<string, string | number>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), `${text}\n`);
  }
}
const pathOf = (directoryOf: GroupPath['directoryOf']): GroupPath => {
  const path: GroupPath = { name: '/c1', directoryOf, processDirectory: undefined, parent: () => path };
  return path;
};
const clock = (): ReadingClock => new ReadingClock(() => 1_700_000_000_000);
/** Shows Longs as text and omits times, so that the rest can be compared as a whole. */
const plain = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (key, one: unknown) =>
      key === 'timestamp'
        ? undefined
        : typeof one === 'object' && one !== null && 'low' in one
          ? Long.fromValue(one as Long).toString()
          : one,
    ),
  );

const STALLED = (first: number): string =>
  ['some', 'full']
    .map(
      (kind, at) =>
        `${kind} avg10=${first + at}.1 avg60=${first + at}.2 avg300=${first + at}.3 total=${first + at}`,
    )
    .join('\n');
const stalled = (first: number): object => {
  const line = (n: number) => ({ totalNanos: `${n}000`, avg10: n + 0.1, avg60: n + 0.2, avg300: n + 0.3 });
  return { some: line(first), full: line(first + 1) };
};

/** Each number occurs once, so no value can stand for another. */
describe('a complete cgroup on a cgroup v2 machine', () => {
  const FILES = {
    'cpu.stat':
      'usage_usec 11\nuser_usec 12\nsystem_usec 13\nnr_periods 14\nnr_throttled 15\nthrottled_usec 16',
    'cpu.pressure': STALLED(100),
    'memory.current': 1_000,
    'memory.max': 2_000,
    'memory.peak': 1_500,
    'memory.stat':
      'anon 21\nfile 22\nkernel 23\nkernel_stack 24\nfile_mapped 25\ninactive_file 26\nslab 27\npgfault 28\npgmajfault 29',
    'memory.events': 'low 31\nhigh 32\nmax 33\noom 34\noom_kill 35',
    'memory.pressure': STALLED(200),
    'memory.swap.current': 41,
    'memory.swap.max': 42,
    'io.stat': '8:0 rbytes=51 wbytes=52 rios=53 wios=54 dbytes=55 dios=56',
    'io.pressure': STALLED(300),
    'pids.current': 61,
    'pids.max': 62,
    'hugetlb.2MB.current': 71,
    'hugetlb.2MB.max': 72,
    'hugetlb.1GB.current': 73,
    'hugetlb.1GB.rsvd.current': 74,
    'other.2MB.current': 75,
  };
  const USAGE = {
    cpu: { usageNanos: '11000', pressure: stalled(100) },
    memory: {
      ...{ usage: 1_000, workingSet: 974, limit: 2_000, rss: 21, pageFaults: 28, majorPageFaults: 29 },
      pressure: stalled(200),
    },
    swap: { usage: 41, limit: 42 },
    io: { pressure: stalled(300) },
  };

  let group: V2Group;
  beforeEach(() => {
    group = new V2Group(
      pathOf(() => root),
      clock(),
      new FilePlaces(100),
    );
  });
  afterEach(() => group.close());

  it('returns all of its usage', async () => {
    write(FILES);
    expect(group.name).toBe('/c1');
    expect(plain(await group.usage())).toEqual(USAGE);
  });

  it('returns all of its details', async () => {
    write(FILES);
    const { hugePages, ...rest } = plain(await group.detail()) as { hugePages: { size: string }[] };
    expect(rest).toEqual({
      usage: USAGE,
      ...{
        userNanos: '12000',
        systemNanos: '13000',
        periods: 14,
        throttledPeriods: 15,
        throttledNanos: '16000',
      },
      ...{ cache: 22, mappedFile: 25, kernel: 23, maxUsage: 1_500, limitHits: 33, oomKills: 35 },
      devices: [{ major: '8', minor: '0', readBytes: 51, writeBytes: 52, reads: 53, writes: 54 }],
      ...{ tasks: 61, tasksLimit: 62 },
    });
    expect([...hugePages].sort((one, other) => (one.size < other.size ? -1 : 1))).toEqual([
      { size: '1GB', usage: 73 },
      { size: '2MB', usage: 71 },
    ]);
  });

  it.each([
    ['kernel_stack 24\nslab 27', 51],
    ['kernel_stack 24', 24],
    ['slab 27', 27],
    ['anon 1', undefined],
  ])('adds up the parts of the kernel memory that old kernels report: %j', async (stat, kernel) => {
    write({ ...FILES, 'memory.stat': stat });
    expect((await group.detail())?.kernel).toBe(kernel);
  });

  it('returns only existing values', async () => {
    write({ 'cpu.stat': 'usage_usec 11' });
    expect(plain(await group.detail())).toEqual({
      ...{ usage: { cpu: { usageNanos: '11000' } }, devices: [], hugePages: [] },
    });
  });

  it('reads nothing once it is closed', async () => {
    write(FILES);
    await group.usage();
    await group.close();
    expect([await group.usage(), await group.detail()]).toEqual([undefined, undefined]);
  });
});

describe('a complete cgroup on a cgroup v1 machine', () => {
  const FILES = {
    'cpuacct/cpuacct.usage': 11,
    'cpuacct/cpuacct.usage_user': 12,
    'cpuacct/cpuacct.usage_sys': 13,
    'cpuacct/cpuacct.stat': 'user 91\nsystem 92',
    'cpu/cpu.stat': 'nr_periods 14\nnr_throttled 15\nthrottled_time 16',
    'memory/memory.usage_in_bytes': 1_000,
    'memory/memory.max_usage_in_bytes': 1_500,
    'memory/memory.kmem.usage_in_bytes': 17,
    'memory/memory.failcnt': 18,
    'memory/memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 19',
    'memory/memory.stat':
      'cache 81\nrss 82\npgfault 21\npgmajfault 22\ninactive_file 83\nhierarchical_memory_limit 2000\n' +
      'hierarchical_memsw_limit 3500\ntotal_cache 23\ntotal_rss 24\ntotal_mapped_file 25\ntotal_swap 26\n' +
      'total_pgfault 27\ntotal_pgmajfault 28\ntotal_inactive_file 29',
    'pids/pids.current': 31,
    'pids/pids.max': 32,
    'blkio/blkio.throttle.io_service_bytes_recursive': '8:0 Read 41\n8:0 Write 42\n8:0 Total 49',
    'blkio/blkio.throttle.io_serviced_recursive': '8:0 Read 43\n8:0 Write 44\nTotal 49',
    'hugetlb/hugetlb.2MB.usage_in_bytes': 51,
    'hugetlb/hugetlb.2MB.max_usage_in_bytes': 52,
    'hugetlb/hugetlb.2MB.rsvd.usage_in_bytes': 53,
  };
  const USAGE = {
    cpu: { usageNanos: '11' },
    memory: {
      ...{ usage: 1_000, workingSet: 971, limit: 2_000, rss: 24, pageFaults: 27, majorPageFaults: 28 },
    },
    swap: { usage: 26, limit: 1_500 },
  };

  const open = (missing?: string): V1Group =>
    new V1Group(
      pathOf((controller) => (controller === missing ? undefined : join(root, controller))),
      clock(),
      new FilePlaces(100),
    );

  it('returns all values', async () => {
    write(FILES);
    const group = open();
    expect(group.name).toBe('/c1');
    expect(plain(await group.usage())).toEqual(USAGE);
    expect(plain(await group.detail())).toEqual({
      usage: USAGE,
      ...{ userNanos: '12', systemNanos: '13', periods: 14, throttledPeriods: 15, throttledNanos: '16' },
      ...{ cache: 23, mappedFile: 25, kernel: 17, maxUsage: 1_500, limitHits: 18, oomKills: 19 },
      ...{ ownPageFaults: 21, ownMajorPageFaults: 22, tasks: 31, tasksLimit: 32 },
      devices: [{ major: '8', minor: '0', readBytes: 41, writeBytes: 42, reads: 43, writes: 44 }],
      hugePages: [{ size: '2MB', usage: 51, maxUsage: 52 }],
    });
    await group.close();
    expect(await group.usage()).toBeUndefined();
  });

  it('uses ticks if the kernel has nothing finer', async () => {
    const { 'cpuacct/cpuacct.usage_user': _, 'cpuacct/cpuacct.usage_sys': _also, ...old } = FILES;
    write(old);
    const group = open();
    expect(plain(await group.detail())).toMatchObject({ userNanos: '910000000', systemNanos: '920000000' });
    await group.close();
  });

  it.each([
    ['memory', { cpu: USAGE.cpu }],
    ['cpuacct', { memory: USAGE.memory, swap: USAGE.swap }],
    ['hugetlb', USAGE],
  ])('works without the controller %s', async (missing, usage) => {
    write(FILES);
    const group = open(missing);
    expect(plain(await group.usage())).toEqual(usage);
    const detail = await group.detail();
    expect(plain(detail?.usage)).toEqual(usage);
    expect(detail?.hugePages).toHaveLength(missing === 'hugetlb' ? 0 : 1);
    await group.close();
  });

  it('has no swap limit without a memory limit, and never a negative one', async () => {
    const swapWith = async (from: string, to: string) => {
      write({ ...FILES, 'memory/memory.stat': FILES['memory/memory.stat'].replace(from, to) });
      const group = open();
      const { swap } = (await group.usage()) ?? {};
      await group.close();
      return swap;
    };
    expect(await swapWith('memsw_limit 3500', 'memsw_limit 1500')).toMatchObject({ usage: 26, limit: 0 });
    const unlimited = '9223372036854771712';
    for (const line of ['memsw_limit 3500', 'memory_limit 2000'])
      expect(await swapWith(line, line.replace(/\d+$/, unlimited))).toMatchObject({
        usage: 26,
        limit: undefined,
      });
  });
});

describe('the sizes of huge pages', () => {
  it('are those of the usage files, listed once', async () => {
    write({
      'hugetlb.2MB.current': 1,
      'hugetlb.2MB.max': 1,
      'hugetlb.1GB.rsvd.current': 1,
      'cpu.2MB.current': 1,
    });
    const sizes = new HugePageSizes(root, 'current');
    expect(await sizes.all()).toEqual(['2MB']);
    write({ 'hugetlb.64KB.current': 1 });
    expect(await sizes.all()).toEqual(['2MB']);
    expect(await new HugePageSizes(undefined, 'current').all()).toEqual([]);
    expect(await new HugePageSizes(join(root, 'none'), 'current').all()).toEqual([]);
  });
});

describe('held files', () => {
  it('are read from their start each time, however long they have become', async () => {
    const path = join(root, 'file');
    const files = new HeldFiles(new FilePlaces(1));
    for (const length of [1, 255, 256, 257, 600, 5_000, 3]) {
      writeFileSync(path, 'x'.repeat(length));
      expect((await files.read(path))?.length).toBe(length);
    }
    await files.close();
    expect([await files.read(path), await files.readOnce(path)]).toEqual([undefined, undefined]);
  });

  it('have places that run out and can be given back', () => {
    const places = new FilePlaces(2);
    expect([places.take(), places.take(), places.take()]).toEqual([true, true, false]);
    places.giveBack();
    expect([places.take(), places.take()]).toEqual([true, false]);
  });
});

describe('parsing', () => {
  it('finds keys at the start, in the middle and at the end, and no parts of keys', () => {
    const text = 'a 1\nab 2\nb  3 \nlong 18446744073709551615';
    expect(['a', 'ab', 'b', 'long', 'lon', 'x'].map((key) => keyedLong(text, key)?.toString())).toEqual([
      ...['1', '2', '3', '18446744073709551615', undefined, undefined],
    ]);
    expect(keyed('\na 5', 'a')).toBe(5);
    // The first match counts, wherever it is.
    expect([keyed('b 0\na 1\na 2', 'a'), keyed('a 1\na 2', 'a')]).toEqual([1, 1]);
  });

  it.each([
    [2 ** 60, undefined],
    [2 ** 60 - 1024, 2 ** 60 - 1024],
  ])('reads the limit %d as %s', (value, most) => expect(limit(BigInt(value).toString())).toBe(most));

  it('accepts only digits in a number', () => {
    expect(['12', ' 12\n', '', '-1', '1.5', 'x1', '1x', undefined].map(number)).toEqual([
      ...[12, 12, undefined, undefined, undefined, undefined, undefined, undefined],
    ]);
  });

  it('returns a working set that is never negative', () => {
    expect([workingSet(10, 4), workingSet(10, undefined), workingSet(10, 11)]).toEqual([6, 10, 0]);
  });

  it('returns the available pressure values', () => {
    const line = 'avg10=1.50 avg60=2.25 avg300=3.00 total=4';
    const read = { avg10: 1.5, avg60: 2.25, avg300: 3, totalNanos: '4000' };
    expect(plain(pressure(`some ${line}\nfull ${line}\n`))).toEqual({ some: read, full: read });
    expect(plain(pressure(`full ${line}\n`))).toEqual({ full: read });
    expect(plain(pressure(`some ${line}\n`))).toEqual({ some: read });
    expect([pressure(undefined), pressure('nonsense'), pressure(`awesome ${line}`)]).toEqual([
      ...[undefined, undefined, undefined],
    ]);
  });

  it('reads devices that are in only one of two files', () => {
    expect(blkio('8:0 Read 1\nx 8:1 Read 2\n8:2 Read 3 x\n', '8:16 Write 4\n')).toEqual([
      { major: '8', minor: '0', readBytes: 1, writeBytes: 0, reads: 0, writes: 0 },
      { major: '8', minor: '16', readBytes: 0, writeBytes: 0, reads: 0, writes: 4 },
    ]);
    expect(ioStat('8:0 rbytes=1\n  9:1 wios=2 \nnonsense rbytes=1\n')).toEqual([
      { major: '8', minor: '0', readBytes: 1, writeBytes: 0, reads: 0, writes: 0 },
      { major: '9', minor: '1', readBytes: 0, writeBytes: 0, reads: 0, writes: 2 },
    ]);
  });

  it('reads interfaces whose names have colons, and no lines of another kind', () => {
    const counters = '1 2 3 4 0 0 0 0 5 6 7 8';
    const read = {
      rxBytes: 1,
      rxPackets: 2,
      rxErrors: 3,
      rxDropped: 4,
      txBytes: 5,
      txPackets: 6,
      txErrors: 7,
      txDropped: 8,
    };
    expect(parseNetDev(` eth0:1: ${counters}\n${counters}\neth1: 1 2 3\neth2: ${counters} x\n`)).toEqual([
      { name: 'eth0:1', ...read },
    ]);
  });
});

describe('readings of cgroups', () => {
  const mountPoint = (): Hierarchies => ({ version: 2, unified: { mountPoint: root, root: '/' } });

  it('are empty for a process that does not run', async () => {
    const source = new CgroupSource(mountPoint(), clock(), 10);
    const target = { id: 'c1', pid: 0 };
    expect([
      await source.usage(target),
      await source.detail(target),
      await source.cgroupName(target),
      await source.podUsage(target),
      await source.podDetail(target),
      await source.processes(target),
    ]).toEqual(Array(6).fill(undefined));
    await source.watch(target);
    await source.forget('never seen');
    await source.close();
  });
});
