import Long from 'long';
import { parseNetDev } from '../../../src/stats/cgroup/parse';
import { toNetworkReading } from '../../../src/stats/node-stats';
import { deviceNumber, parseDiskstats } from '../../../src/stats/metrics/block-devices';
import { PodSums } from '../../../src/stats/pod-sum';
import type { UsageReading } from '../../../src/stats/readings';

const NET_DEV = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
  net1:      11      12   13   14    0     0          0         0       15      16   17   18    0     0       0          0
  eth0:21 22 23 24 0 0 0 0 25 26 27 28 0 0 0 0
`;

describe('parseNetDev', () => {
  it('reads every interface, with or without a space after the colon', () => {
    expect(parseNetDev(NET_DEV).map(({ name }) => name)).toEqual(['lo', 'net1', 'eth0']);
    expect(parseNetDev(NET_DEV)[2]).toEqual({
      ...{ name: 'eth0', rxBytes: 21, rxPackets: 22, rxErrors: 23, rxDropped: 24 },
      ...{ txBytes: 25, txPackets: 26, txErrors: 27, txDropped: 28 },
    });
    expect(parseNetDev('')).toEqual([]);
  });

  it('returns interfaces among which toNetworkReading chooses the default: eth0, or else the first, but never loopback', () => {
    const all = parseNetDev(NET_DEV);
    const { defaultInterface, others } = toNetworkReading(all, Long.ONE);
    expect([defaultInterface?.name, ...others.map(({ name }) => name)]).toEqual(['eth0', 'net1']);
    expect(toNetworkReading(all.slice(0, 2), Long.ONE).defaultInterface?.name).toBe('net1');
    expect(toNetworkReading(all.slice(0, 1), Long.ONE)).toMatchObject({
      defaultInterface: undefined,
      others: [],
    });
  });
});

describe('PodSums', () => {
  const reading = (at: number, nanos: number, usage: number): UsageReading => ({
    cpu: { timestamp: Long.fromNumber(at), usageNanos: Long.fromNumber(nanos, true) },
    memory: { timestamp: Long.fromNumber(at), usage, workingSet: usage / 2 },
  });

  it('keeps the usage of ended containers until the pod is gone', () => {
    const sums = new PodSums();
    const both = new Map([
      ['a', reading(1, 100, 10)],
      ['b', reading(2, 50, 20)],
    ]);
    const first = sums.sum('pod', both);
    expect(first.cpu?.usageNanos.toNumber()).toBe(150);
    expect(first.cpu?.timestamp.toNumber()).toBe(2);
    expect(first.memory).toMatchObject({ usage: 30, workingSet: 15 });
    sums.end('a');
    const second = sums.sum('pod', new Map([['b', reading(3, 60, 20)]]));
    expect(second.cpu?.usageNanos.toNumber()).toBe(160);
    expect(second.memory?.usage).toBe(20);
    sums.forget('pod');
    expect(sums.sum('pod', new Map([['b', reading(4, 60, 20)]])).cpu?.usageNanos.toNumber()).toBe(60);
  });
});

describe('PodSums of several ended containers', () => {
  const cpu = (nanos: number): UsageReading => ({
    cpu: { timestamp: Long.ONE, usageNanos: Long.fromNumber(nanos, true) },
  });
  let sums: PodSums;
  const used = (members: Record<string, number>): number | undefined =>
    sums
      .sum('pod', new Map(Object.entries(members).map(([id, nanos]) => [id, cpu(nanos)])))
      .cpu?.usageNanos.toNumber();
  beforeEach(() => {
    sums = new PodSums();
  });

  it('adds the last reading of each container only once', () => {
    expect(used({ pause: 1, a: 100, b: 50, c: 7 })).toBe(158);
    expect(used({ pause: 1, a: 110, b: 60, c: 8 })).toBe(179);
    for (const id of ['a', 'b', 'a']) sums.end(id);
    expect(used({ pause: 2, c: 9 })).toBe(2 + 9 + 110 + 60);
    sums.end('c');
    sums.end('never read');
    expect(used({ pause: 3 })).toBe(3 + 110 + 60 + 9);
  });

  it('keeps other pods separate', () => {
    used({ pause: 1, a: 100 });
    sums.sum('other', new Map([['x', cpu(1_000)]]));
    sums.end('x');
    expect(used({ pause: 1, a: 100 })).toBe(101);
    sums.forget('other');
    sums.end('a');
    expect(used({ pause: 1 })).toBe(101);
  });

  it('adds nothing for a container that ends after its pod was forgotten', () => {
    used({ pause: 1, a: 100 });
    sums.forget('pod');
    sums.end('a');
    expect(used({ pause: 1 })).toBe(1);
  });

  it('adds every field of memory, and the known rates', () => {
    const full = (factor: number, nanoCores?: number): UsageReading => ({
      cpu: { timestamp: Long.fromNumber(factor), usageNanos: Long.fromNumber(factor, true), nanoCores },
      memory: {
        timestamp: Long.fromNumber(10 * factor),
        ...{ usage: 2 * factor, workingSet: 3 * factor, rss: 5 * factor },
        ...{ pageFaults: 7 * factor, majorPageFaults: 11 * factor },
      },
    });
    const members = { a: full(1_000, 13), b: full(1, 17), c: full(100) };
    expect(sums.sum('pod', new Map(Object.entries(members)))).toEqual({
      cpu: { timestamp: Long.fromNumber(1_000), usageNanos: Long.fromNumber(1_101, true), nanoCores: 30 },
      memory: {
        timestamp: Long.fromNumber(10_000),
        ...{ usage: 2_202, workingSet: 3_303, rss: 5_505, pageFaults: 7_707, majorPageFaults: 12_111 },
      },
    });
    expect(sums.sum('pod', new Map([['c', full(100)]])).cpu?.nanoCores).toBeUndefined();
    expect(sums.sum('pod', new Map())).toEqual({ cpu: undefined, memory: undefined });
  });
});

describe('the names of devices', () => {
  it('come from diskstats', () => {
    const names = parseDiskstats(' 259       0 nvme0n1 168 0 1\n   8       1 sda1 1 2 3\n');
    expect(names.get('259:0')).toBe('/dev/nvme0n1');
    expect(names.get('8:1')).toBe('/dev/sda1');
  });

  it.each([
    [0x801, '8:1'],
    [0x10300, '259:0'],
    [0x100000 + 0x805, '8:261'],
  ])('come from the number in stat: %d', (dev, name) => expect(deviceNumber(dev)).toBe(name));
});
