import Long from 'long';
import type { EngineContainerStats } from '../../../src/translate/engine';
import { detailFromEngine, interfacesFromEngine, usageFromEngine } from '../../../src/translate/engine-stats';

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
  it('of a v1 machine', () => {
    const lines = {
      total_inactive_file: 400,
      total_rss: 300,
      total_pgfault: 7,
      hierarchical_memory_limit: 5_000,
    };
    const usage = usageFromEngine(stats({ ...lines, total_swap: 20 }), Long.ONE);
    expect(usage?.memory).toMatchObject({
      usage: 1_000,
      workingSet: 600,
      limit: 5_000,
      rss: 300,
      pageFaults: 7,
    });
    expect(usage?.swap?.usage).toBe(20);
    expect(usage?.cpu?.usageNanos.toString()).toBe('3000000000');
  });

  it("of a v2 machine, whose `limit` may be the machine's memory and is not believed", () => {
    const usage = usageFromEngine(stats({ inactive_file: 2_000, anon: 300, pgfault: 7 }), Long.ONE);
    expect(usage?.memory).toMatchObject({ workingSet: 0, limit: undefined, rss: 300, pageFaults: 7 });
    expect(usage).not.toHaveProperty('swap');
  });

  it('of a container that has just ended are none', () => {
    expect(usageFromEngine({ ...stats({}), memory_stats: {} }, Long.ONE)).toBeUndefined();
  });

  it('in detail', () => {
    const entry = (op: string, value: number) => ({ major: 8, minor: 0, op, value });
    const blkio_stats = {
      io_service_bytes_recursive: [entry('Read', 10), entry('write', 20), entry('Total', 30)],
      io_serviced_recursive: [entry('read', 1), entry('Write', 2)],
    };
    const all = stats({ total_cache: 5, total_mapped_file: 6 }, { blkio_stats, pids_stats: { current: 3 } });
    const detail = detailFromEngine(all, {});
    expect(detail).toMatchObject({ periods: 9, throttledPeriods: 4, cache: 5, mappedFile: 6, tasks: 3 });
    expect(detail.tasksLimit).toBeUndefined();
    expect(detail.devices).toEqual([
      { major: '8', minor: '0', readBytes: 10, writeBytes: 20, reads: 1, writes: 2 },
    ]);
  });

  it('without networks on the host network', () => expect(interfacesFromEngine(stats({}))).toEqual([]));
});
