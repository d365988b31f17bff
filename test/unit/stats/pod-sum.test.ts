import Long from 'long';
import { PodSums } from '../../../src/stats/pod-sum';
import type { UsageReading } from '../../../src/stats/readings';

const cpu = (nanos: number): UsageReading => ({
  cpu: { timestamp: Long.fromNumber(nanos), usageNanos: Long.fromNumber(nanos, true), nanoCores: nanos },
});
const memory = (usage: number): UsageReading => ({
  memory: { timestamp: Long.fromNumber(usage), usage, workingSet: usage },
});

describe('the sum of a pod', () => {
  it('adds up each value over the containers that have it', () => {
    const sums = new PodSums();
    const members = { a: cpu(5), b: memory(7), c: {}, d: cpu(9) };
    expect(sums.sum('pod', new Map(Object.entries(members)))).toEqual({
      cpu: { timestamp: Long.fromNumber(9), usageNanos: Long.fromNumber(14, true), nanoCores: 14 },
      memory: {
        ...{ timestamp: Long.fromNumber(7), usage: 7, workingSet: 7 },
        ...{ rss: 0, pageFaults: 0, majorPageFaults: 0 },
      },
    });
    // A container without a CPU reading adds nothing when it ends.
    for (const id of ['b', 'c']) sums.end(id);
    expect(sums.sum('pod', new Map([['a', cpu(6)]])).cpu?.usageNanos.toNumber()).toBe(6);
    expect(sums.sum('pod', new Map([['b', memory(7)]])).cpu).toBeUndefined();
  });
});
