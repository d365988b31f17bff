import { setTimeout as delay } from 'node:timers/promises';
import type { cri, Decoded } from '../../src/proto';
import { CGROUP_VERSION, groupFile } from './support/cgroups';
import type { TestDaemon } from './support/daemon';
import { engineCall, engineGet, sharedDockerHost } from './support/engine';
import { expectFailure } from './support/grpc';
import {
  containerConfig,
  createContainer,
  exec,
  FOREVER,
  podConfig,
  runPod,
  startedContainer,
  startPodTest,
  untilExited,
  untilStore,
} from './support/pods';

type ContainerStats = Decoded<cri.IContainerStats>;
const MIB = 2 ** 20;
/** The kernel updates its memory counters by 32 pages per processor at a time. */
const SLACK = 256 * 1024;

describe('stats of containers', () => {
  let test: TestDaemon;
  let pod: string;
  beforeAll(async () => {
    ({ test, pod } = await startPodTest());
  });
  afterAll(() => test.stop());

  async function statsOf(container_id: string): Promise<ContainerStats> {
    const { stats } = await test.client.call('ContainerStats', { container_id });
    if (stats === null) throw new Error('no stats');
    return stats;
  }

  /** Returns the nanoseconds of processor time that the kernel reports. */
  async function burntBy(id: string): Promise<number> {
    const text = await groupFile(id, 'cpuacct', 'cpuacct.usage', 'cpu.stat');
    return CGROUP_VERSION === 1 ? Number(text) : Number(/^usage_usec (\d+)/.exec(text)?.[1]) * 1000;
  }

  it('name their container, and have a later time in each reading', async () => {
    const config = containerConfig('named', FOREVER, { labels: { app: 'x' }, annotations: { note: 'y' } });
    const id = await startedContainer(test, pod, config);
    const [first, second] = [await statsOf(id), await statsOf(id)];
    expect(first.attributes).toMatchObject({
      id,
      metadata: { name: 'named', attempt: 0 },
      labels: { app: 'x' },
      annotations: { note: 'y' },
    });
    expect(Number(first.cpu?.timestamp) / 1e6).toBeGreaterThan(Date.now() - 60_000);
    expect(second.cpu?.timestamp.greaterThan(first.cpu?.timestamp ?? 0)).toBe(true);
    expect(second.memory?.timestamp.greaterThan(first.memory?.timestamp ?? 0)).toBe(true);
  });

  it('of a container that burns 20 % of a CPU have its usage and rate', async () => {
    const id = await startedContainer(
      test,
      pod,
      containerConfig('burner', 'while :; do :; done', {
        linux: { resources: { cpu_period: 100_000, cpu_quota: 20_000 } },
      }),
    );
    const before = await statsOf(id);
    const burnt = Number(before.cpu?.usage_core_nano_seconds?.value) + 400_000_000;
    while ((await burntBy(id)) < burnt) await delay(50);
    const low = await burntBy(id);
    const after = await statsOf(id);
    const high = await burntBy(id);
    const usage = Number(after.cpu?.usage_core_nano_seconds?.value);
    expect(usage).toBeGreaterThanOrEqual(low);
    expect(usage).toBeLessThanOrEqual(high);
    const elapsed = Number(after.cpu?.timestamp.sub(before.cpu?.timestamp ?? 0));
    const share = (usage - Number(before.cpu?.usage_core_nano_seconds?.value)) / elapsed;
    // A busy machine may give the container less. The quota never gives it more.
    expect(share).toBeGreaterThan(0);
    expect(share).toBeLessThan(0.25);
    expect(Number(after.cpu?.usage_nano_cores?.value) / 1e9 / share).toBeCloseTo(1, 0);
  });

  it('of a container with 64 resident MiB and 10 MB of page cache do not count the cache in the working set', async () => {
    // tail keeps the text that it may have to print. The file is read once, so its page cache is inactive.
    const script = `head -c 10000000 /dev/zero > /cached; sync; cat /cached > /dev/null;
      { head -c ${64 * MIB} /dev/zero; touch /full; sleep 1000; } | tail -c ${64 * MIB}`;
    const id = await startedContainer(
      test,
      pod,
      containerConfig('resident', script, { linux: { resources: { memory_limit_in_bytes: 200 * MIB } } }),
    );
    await exec(test, id, 'until [ -e /full ]; do sleep 0.1; done');
    const before = await groupFile(id, 'memory', 'memory.stat', 'memory.stat');
    const { memory } = await statsOf(id);
    const after = await groupFile(id, 'memory', 'memory.stat', 'memory.stat');
    const linesOf = (key: string): number[] =>
      [before, after].map((stat) => Number(new RegExp(`^${key} (\\d+)$`, 'm').exec(stat)?.[1]));
    // The kernel counts in batches, and the two reads are not simultaneous, so they may differ by a page
    // but not by 10 MB.
    const expectBetween = (given: number, lines: number[]): void => {
      expect(given).toBeGreaterThanOrEqual(Math.min(...lines) - SLACK);
      expect(given).toBeLessThanOrEqual(Math.max(...lines) + SLACK);
    };
    const value = (of: Decoded<cri.IUInt64Value> | null | undefined): number => Number(of?.value);
    expect(value(memory?.rss_bytes) / MIB).toBeGreaterThan(64);
    expect(value(memory?.rss_bytes) / MIB).toBeLessThan(70);
    expectBetween(value(memory?.rss_bytes), linesOf(CGROUP_VERSION === 1 ? 'total_rss' : 'anon'));
    const inactive = CGROUP_VERSION === 1 ? 'total_inactive_file' : 'inactive_file';
    const cached = linesOf(inactive);
    expect(Math.min(...cached)).toBeGreaterThan(9_000_000);
    expectBetween(value(memory?.usage_bytes) - value(memory?.working_set_bytes), cached);
    expect(value(memory?.available_bytes)).toBe(200 * MIB - value(memory?.working_set_bytes));
    expect(value(memory?.page_faults)).toBeGreaterThan((64 * MIB) / 4096);
    const engine = (await engineGet(sharedDockerHost(), `/containers/${id}/stats?stream=0&one-shot=1`)) as {
      memory_stats: { usage: number; stats: Record<string, number> };
    };
    const shown = engine.memory_stats.usage - (engine.memory_stats.stats[inactive] ?? 0);
    expect(Math.abs(value(memory?.working_set_bytes) - shown)).toBeLessThan(MIB);
  });

  it('without a limit omit available memory', async () => {
    const id = await startedContainer(test, pod, containerConfig('unlimited', FOREVER));
    const { memory } = await statsOf(id);
    expect(memory?.available_bytes).toBeNull();
    expect(Number(memory?.usage_bytes?.value)).toBeGreaterThan(0);
  });

  it('of a container that does not run are only its attributes, and of an unknown container an error', async () => {
    const id = await createContainer(test, pod, containerConfig('short', 'exit 0'));
    expect((await statsOf(id)).cpu).toBeNull();
    await test.client.call('StartContainer', { container_id: id });
    await untilExited(test, id);
    const stats = await statsOf(id);
    expect([stats.attributes?.id, stats.cpu, stats.memory]).toEqual([id, null, null]);
    await expectFailure(test.client.call('ContainerStats', { container_id: 'beef' }), 'NOT_FOUND', /beef/);
    await expectFailure(test.client.call('ContainerStats', {}), 'INVALID_ARGUMENT', /container_id/);
  });

  it('continue when the container restarts in a cgroup of the same name', async () => {
    const id = await startedContainer(test, pod, containerConfig('again', FOREVER));
    const before = await statsOf(id);
    const { pid } = test.daemon.store.containers.get(id) ?? {};
    await engineCall(sharedDockerHost(), 'POST', `/containers/${id}/restart?t=0`);
    await untilStore(test, () => {
      const now = test.daemon.store.containers.get(id);
      return now?.state === 'running' && now.pid !== pid;
    });
    const after = await statsOf(id);
    expect(after.cpu?.timestamp.greaterThan(before.cpu?.timestamp ?? 0)).toBe(true);
    expect(after.memory?.usage_bytes).not.toBeNull();
  });

  describe('as a list', () => {
    let other: string;
    let ids: string[];
    beforeAll(async () => {
      other = await runPod(test, podConfig(test));
      const start = (name: string, color: string): Promise<string> =>
        startedContainer(test, other, containerConfig(name, FOREVER, { labels: { color } }));
      ids = [await start('one', 'red'), await start('two', 'blue')];
      await createContainer(test, other, containerConfig('idle', FOREVER, { labels: { color: 'red' } }));
    });

    async function list(filter: cri.IContainerStatsFilter | null): Promise<string[]> {
      const { stats } = await test.client.call('ListContainerStats', { filter });
      return stats.map(({ attributes }) => attributes?.id ?? '').sort();
    }

    it('contain running containers, filtered by id, pod and labels', async () => {
      const [one = '', two = ''] = ids;
      expect(await list({ pod_sandbox_id: other })).toEqual([one, two].sort());
      expect(await list({ id: one.slice(0, 12) })).toEqual([one]);
      expect(await list({ label_selector: { color: 'red' } })).toEqual([one]);
      expect(await list({ id: one, label_selector: { color: 'blue' } })).toEqual([]);
      expect(await list({ id: one, pod_sandbox_id: pod })).toEqual([]);
      expect(await list(null)).toEqual(expect.arrayContaining(ids));
    });

    it('make no Engine call', async () => {
      expect(
        await test.countEngineCalls(async () => {
          await list(null);
          await test.client.call('ContainerStats', { container_id: ids[0] ?? '' });
        }),
      ).toEqual({});
    });
  });
});
