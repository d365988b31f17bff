import type { V2Group } from '../../../src/stats/cgroup/v2-group';
import type { DetailReading } from '../../../src/stats/readings';
import { recordedGroup } from './support/v2-host';

const MIB = 2 ** 20;

describe('a cgroup of a recorded cgroup v2 machine', () => {
  const opened: V2Group[] = [];
  const open = (name: string): V2Group => {
    const group = recordedGroup(name);
    opened.push(group);
    return group;
  };
  const detailOf = async (name: string): Promise<DetailReading> => {
    const detail = await open(name).detail();
    if (detail === undefined) throw new Error(`${name} cannot be read`);
    return detail;
  };
  afterEach(() => Promise.all(opened.splice(0).map((group) => group.close())));

  it('is read with all controllers and limits', async () => {
    const usage = await open('limited').usage();
    expect(usage?.cpu?.usageNanos.toString()).toBe('5248197000');
    expect(usage?.cpu?.timestamp.toString()).toMatch(/^17000000000000000\d\d$/);
    expect(usage?.memory).toMatchObject({
      usage: 33_542_144,
      workingSet: 33_542_144 - 15_253_504,
      limit: 32 * MIB,
      rss: 16_560_128,
      pageFaults: 19_639,
      majorPageFaults: 50,
    });
    expect(usage?.swap).toMatchObject({ usage: 245_760, limit: 8 * MIB });
  });

  it('has stalls in nanoseconds', async () => {
    const usage = await open('limited').usage();
    const { some, full } = usage?.cpu?.pressure ?? {};
    expect(some).toMatchObject({ avg10: 53.87, avg60: 23.64, avg300: 5.88 });
    expect(some?.totalNanos.toString()).toBe('18292518000');
    expect(full?.totalNanos.toString()).toBe('18070124000');
    expect(usage?.memory?.pressure?.some?.totalNanos.toString()).toBe('5227312000');
    expect(usage?.io?.pressure.full?.totalNanos.toString()).toBe('24936000');
  });

  it('has the values for metrics', async () => {
    const { usage, userNanos, systemNanos, throttledNanos, devices, ...rest } = await detailOf('limited');
    expect(usage.memory?.usage).toBe(33_542_144);
    expect([userNanos, systemNanos, throttledNanos].map(String)).toEqual([
      '958317000',
      '4289879000',
      '37116797000',
    ]);
    expect(rest).toEqual({
      periods: 262,
      throttledPeriods: 261,
      cache: 15_970_304,
      mappedFile: 0,
      kernel: 679_936,
      maxUsage: 32 * MIB,
      limitHits: 538,
      oomKills: 1,
      tasks: 6,
      tasksLimit: 100,
      hugePages: [{ size: '2MB', usage: 0 }],
    });
    expect(devices).toContainEqual({
      major: '259',
      minor: '0',
      readBytes: 62_956_544,
      writeBytes: 12_582_912,
      reads: 130,
      writes: 29,
    });
    expect(devices).toHaveLength(2);
  });

  it('has no limit for max', async () => {
    const { usage, tasksLimit } = await detailOf('unlimited');
    expect(usage.memory?.limit).toBeUndefined();
    expect(usage.swap).toMatchObject({ usage: 0, limit: undefined });
    expect(tasksLimit).toBeUndefined();
  });

  it('omits the controllers that a parent does not pass down', async () => {
    const { usage, ...rest } = await detailOf('lean');
    expect(usage.cpu?.usageNanos.toString()).toBe('1241258000');
    expect(usage.cpu?.pressure?.some).toBeDefined();
    expect(usage.swap).toBeUndefined();
    expect(usage.memory).toBeUndefined();
    expect(rest).toMatchObject({ cache: undefined, periods: undefined, maxUsage: undefined, tasks: 1 });
    expect(rest.devices).toEqual([]);
    expect(rest.hugePages).toEqual([]);
  });

  it('omits pressure if the kernel does not measure it', async () => {
    const usage = await open('no-pressure').usage();
    expect(usage?.cpu).toMatchObject({ pressure: undefined });
    expect(usage?.memory).toMatchObject({ limit: 32 * MIB, pressure: undefined });
    expect(usage?.io).toBeUndefined();
  });

  it('has for a pod at least the usage of its container', async () => {
    const [pod, container] = await Promise.all(['pod', 'limited'].map((name) => open(name).usage()));
    expect(pod?.cpu?.usageNanos.greaterThanOrEqual(container?.cpu?.usageNanos ?? 0)).toBe(true);
    expect(pod?.memory?.limit).toBeUndefined();
  });

  it('has no reading once the cgroup is gone', async () => {
    expect(await open('no-such-group').usage()).toBeUndefined();
    expect(await open('no-such-group').detail()).toBeUndefined();
  });

  it('has no reading after close', async () => {
    const group = open('limited');
    await group.usage();
    await group.close();
    expect(await group.usage()).toBeUndefined();
  });
});
