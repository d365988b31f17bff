import Long from 'long';
import type { EngineContainerStats } from '../../../src/engine/types';
import { detailFromEngine, interfacesFromEngine, usageFromEngine } from '../../../src/stats/engine-source';

const stats = (
  lines: Record<string, number>,
  more: Partial<EngineContainerStats> = {},
): EngineContainerStats => ({
  read: '2026-11-22T08:00:00Z',
  cpu_stats: {
    cpu_usage: {
      total_usage: 3_000_000_000,
      usage_in_usermode: 2_000_000_000,
      usage_in_kernelmode: 1_000_000_000,
    },
    throttling_data: { periods: 9, throttled_periods: 4, throttled_time: 5_000 },
  },
  memory_stats: { usage: 1_000, limit: 8_000_000_000, stats: lines },
  ...more,
});

describe("the Engine's one-shot stats", () => {
  it('are read from a cgroup v1 machine', () => {
    const lines = {
      ...{ inactive_file: 1, rss: 2, pgfault: 3, pgmajfault: 4 },
      ...{ total_inactive_file: 400, total_rss: 300, total_pgfault: 7, total_pgmajfault: 5 },
      ...{ hierarchical_memory_limit: 5_000, total_swap: 20 },
    };
    const timestamp = Long.fromNumber(9);
    expect(usageFromEngine(stats(lines), timestamp)).toEqual({
      cpu: { timestamp, usageNanos: Long.fromNumber(3_000_000_000, true) },
      memory: {
        ...{ timestamp, usage: 1_000, workingSet: 600, limit: 5_000 },
        ...{ rss: 300, pageFaults: 7, majorPageFaults: 5 },
      },
      swap: { timestamp, usage: 20 },
    });
  });

  it("are read from a cgroup v2 machine, without `limit`, which may be the machine's memory", () => {
    const lines = { inactive_file: 2_000, anon: 300, pgfault: 7, pgmajfault: 5 };
    const usage = usageFromEngine(stats(lines), Long.ONE);
    expect(usage).not.toHaveProperty('swap');
    expect(usage?.memory).toEqual({
      ...{ timestamp: Long.ONE, usage: 1_000, workingSet: 0, limit: undefined },
      ...{ rss: 300, pageFaults: 7, majorPageFaults: 5 },
    });
  });

  it('give no usage for a container that has just ended', () => {
    expect(usageFromEngine({ ...stats({}), memory_stats: {} }, Long.ONE)).toBeUndefined();
  });

  describe('in detail', () => {
    const entry = (minor: number, op: string, value: number) => ({ major: 8, minor, op, value });
    const blkio_stats = {
      io_service_bytes_recursive: [
        ...[entry(0, 'Read', 10), entry(0, 'write', 20), entry(0, 'Total', 30)],
        ...[entry(16, 'Read', 100), entry(0, 'Read', 5)],
      ],
      io_serviced_recursive: [entry(0, 'read', 1), entry(0, 'Write', 2), entry(16, 'read', 3)],
    };
    const usage = { swap: { timestamp: Long.ONE, usage: 1 } };
    const detailOf = (lines: Record<string, number>) => {
      const all = stats(lines, { blkio_stats, pids_stats: { current: 3, limit: 99 } });
      return detailFromEngine(
        { ...all, memory_stats: { ...all.memory_stats, max_usage: 2_000, failcnt: 11 } },
        usage,
      );
    };
    const SHARED = {
      usage,
      userNanos: Long.fromNumber(2_000_000_000, true),
      systemNanos: Long.fromNumber(1_000_000_000, true),
      ...{ periods: 9, throttledPeriods: 4, throttledNanos: Long.fromNumber(5_000, true) },
      ...{ maxUsage: 2_000, limitHits: 11, tasks: 3, tasksLimit: 99, hugePages: [] },
      devices: [
        { major: '8', minor: '0', readBytes: 15, writeBytes: 20, reads: 1, writes: 2 },
        { major: '8', minor: '16', readBytes: 100, writeBytes: 0, reads: 3, writes: 0 },
      ],
    };

    it('are read from a cgroup v1 machine', () => {
      const lines = { total_cache: 5, total_mapped_file: 6, pgfault: 12, pgmajfault: 13 };
      expect(detailOf(lines)).toEqual({
        ...SHARED,
        ...{ cache: 5, mappedFile: 6, kernel: undefined, ownPageFaults: 12, ownMajorPageFaults: 13 },
      });
    });

    it('are read from a cgroup v2 machine', () => {
      const lines = { file: 5, file_mapped: 6, kernel_stack: 20, slab: 300, pgfault: 12, pgmajfault: 13 };
      expect(detailOf(lines)).toEqual({
        ...SHARED,
        ...{ cache: 5, mappedFile: 6, kernel: 320, ownPageFaults: undefined, ownMajorPageFaults: undefined },
      });
    });

    it('may lack limits and devices', () => {
      const { tasksLimit, devices } = detailFromEngine(
        stats({}, { pids_stats: { current: 3, limit: 2 ** 64 } }),
        {},
      );
      expect([tasksLimit, devices]).toEqual([undefined, []]);
    });
  });

  it('list network counters by interface', () => {
    const eth0 = {
      ...{ rx_bytes: 1, rx_packets: 2, rx_errors: 3, rx_dropped: 4 },
      ...{ tx_bytes: 5, tx_packets: 6, tx_errors: 7, tx_dropped: 8 },
    };
    expect(interfacesFromEngine(stats({}, { networks: { eth0 } }))).toEqual([
      {
        name: 'eth0',
        ...{ rxBytes: 1, rxPackets: 2, rxErrors: 3, rxDropped: 4 },
        ...{ txBytes: 5, txPackets: 6, txErrors: 7, txDropped: 8 },
      },
    ]);
  });

  it('list no interfaces for a container on the host network', () =>
    expect(interfacesFromEngine(stats({}))).toEqual([]));
});
