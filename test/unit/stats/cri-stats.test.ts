import Long from 'long';
import { type ContainerUsage, toCriContainerStats, toCriPodStats } from '../../../src/stats/cri-stats';
import type { InterfaceReading, Pressure, UsageReading } from '../../../src/stats/readings';
import { containerRecord, sandboxRecord } from '../support/records';

const at = (seconds: number): Long => Long.fromNumber(1_700_000_000 + seconds).multiply(1_000_000_000);

/** Each number occurs once, so no value can stand for another. */
function pressure(first: number): Pressure {
  const line = (n: number) => ({ totalNanos: Long.fromNumber(n), avg10: n + 1, avg60: n + 2, avg300: n + 3 });
  return { some: line(first), full: line(first + 10) };
}
function criPressure(first: number): object {
  const line = (n: number) => ({ Total: Long.fromNumber(n), Avg10: n + 1, Avg60: n + 2, Avg300: n + 3 });
  return { Some: line(first), Full: line(first + 10) };
}

const USAGE: UsageReading = {
  cpu: { timestamp: at(1), usageNanos: Long.fromNumber(11), nanoCores: 12, pressure: pressure(100) },
  memory: {
    timestamp: at(2),
    usage: 21,
    workingSet: 22,
    limit: 1_022,
    rss: 24,
    pageFaults: 25,
    majorPageFaults: 26,
    pressure: pressure(200),
  },
  swap: { timestamp: at(3), usage: 31, limit: 2_031 },
  io: { timestamp: at(4), pressure: pressure(300) },
};
const CRI_CPU = {
  timestamp: at(1),
  usage_core_nano_seconds: { value: Long.fromNumber(11) },
  usage_nano_cores: { value: 12 },
  psi: criPressure(100),
};
const CRI_MEMORY = {
  timestamp: at(2),
  usage_bytes: { value: 21 },
  working_set_bytes: { value: 22 },
  available_bytes: { value: 1_000 },
  rss_bytes: { value: 24 },
  page_faults: { value: 25 },
  major_page_faults: { value: 26 },
  psi: criPressure(200),
};
const CRI_IO = { timestamp: at(4), psi: criPressure(300) };

const NOTHING = { cpu: null, memory: null, io: null };
const container = containerRecord({ id: 'c1', labels: { a: '1' }, annotations: { b: '2' } });
const ABOUT_CONTAINER = {
  id: 'c1',
  metadata: container.metadata,
  labels: { a: '1' },
  annotations: { b: '2' },
};

function networkInterface(name: string, first: number): InterfaceReading {
  return {
    name,
    rxBytes: first,
    rxPackets: first + 1,
    rxErrors: first + 2,
    rxDropped: first + 3,
    txBytes: first + 4,
    txPackets: first + 5,
    txErrors: first + 6,
    txDropped: first + 7,
  };
}
function criInterface(name: string, first: number): object {
  return {
    name,
    rx_bytes: { value: first },
    rx_errors: { value: first + 2 },
    tx_bytes: { value: first + 4 },
    tx_errors: { value: first + 6 },
  };
}

describe('toCriContainerStats', () => {
  it('includes every reading', () => {
    const layer = { timestamp: at(5), mountpoint: '/var/lib/docker', usedBytes: 41, inodesUsed: 42 };
    expect(toCriContainerStats({ container, usage: USAGE, layer })).toEqual({
      attributes: ABOUT_CONTAINER,
      cpu: CRI_CPU,
      memory: CRI_MEMORY,
      swap: {
        timestamp: at(3),
        swap_usage_bytes: { value: 31 },
        swap_available_bytes: { value: 2_000 },
      },
      io: CRI_IO,
      writable_layer: {
        timestamp: at(5),
        fs_id: { mountpoint: '/var/lib/docker' },
        used_bytes: { value: 41 },
        inodes_used: { value: 42 },
      },
    });
  });

  it.each<{ desc: string; given: Omit<ContainerUsage, 'container'> }>([
    { desc: 'there is no reading', given: {} },
    { desc: 'a reading is empty', given: { usage: {} } },
  ])('has no message if $desc', ({ given }) => {
    expect(toCriContainerStats({ container, ...given })).toEqual({
      attributes: ABOUT_CONTAINER,
      ...NOTHING,
      swap: null,
      writable_layer: null,
    });
  });

  it('has no number for an unknown value, and has one for zero', () => {
    const usage: UsageReading = {
      cpu: { timestamp: at(1), usageNanos: Long.ZERO, nanoCores: 0 },
      memory: { timestamp: at(2), usage: 0, workingSet: 0 },
      swap: { timestamp: at(3), usage: 0 },
      io: { timestamp: at(4), pressure: {} },
    };
    const layer = { timestamp: at(5), mountpoint: '/', usedBytes: 0 };
    expect(toCriContainerStats({ container, usage, layer })).toEqual({
      attributes: ABOUT_CONTAINER,
      cpu: {
        timestamp: at(1),
        usage_core_nano_seconds: { value: Long.ZERO },
        usage_nano_cores: { value: 0 },
        psi: null,
      },
      memory: {
        timestamp: at(2),
        usage_bytes: { value: 0 },
        working_set_bytes: { value: 0 },
        available_bytes: null,
        rss_bytes: null,
        page_faults: null,
        major_page_faults: null,
        psi: null,
      },
      swap: { timestamp: at(3), swap_usage_bytes: { value: 0 }, swap_available_bytes: null },
      io: { timestamp: at(4), psi: { Some: null, Full: null } },
      writable_layer: {
        timestamp: at(5),
        fs_id: { mountpoint: '/' },
        used_bytes: { value: 0 },
        inodes_used: null,
      },
    });
  });

  it('has zero left, not less, if more is used than the limit allows', () => {
    const usage: UsageReading = {
      memory: { timestamp: at(2), usage: 30, workingSet: 20, limit: 10 },
      swap: { timestamp: at(3), usage: 20, limit: 10 },
    };
    expect(toCriContainerStats({ container, usage })).toMatchObject({
      memory: { available_bytes: { value: 0 } },
      swap: { swap_available_bytes: { value: 0 } },
    });
  });
});

describe('toCriPodStats', () => {
  const sandbox = sandboxRecord({ id: 's1', labels: { c: '3' }, annotations: { d: '4' } });
  const attributes = {
    id: 's1',
    metadata: sandbox.metadata,
    labels: { c: '3' },
    annotations: { d: '4' },
  };

  it('includes every reading of the pod, and its containers', () => {
    const stats = toCriPodStats({
      sandbox,
      usage: USAGE,
      network: {
        timestamp: at(6),
        defaultInterface: networkInterface('eth0', 500),
        others: [networkInterface('net1', 600)],
      },
      processes: { timestamp: at(7), count: 71 },
      containers: [{ container, usage: USAGE }],
    });
    expect(stats).toEqual({
      attributes,
      linux: {
        cpu: CRI_CPU,
        memory: CRI_MEMORY,
        io: CRI_IO,
        network: {
          timestamp: at(6),
          default_interface: criInterface('eth0', 500),
          interfaces: [criInterface('net1', 600)],
        },
        process: { timestamp: at(7), process_count: { value: 71 } },
        containers: [toCriContainerStats({ container, usage: USAGE })],
      },
    });
  });

  it('has no message without a reading', () => {
    expect(toCriPodStats({ sandbox, containers: [] })).toEqual({
      attributes,
      linux: { ...NOTHING, network: null, process: null, containers: [] },
    });
  });

  it('has no default interface if there is only loopback', () => {
    const network = { timestamp: at(6), others: [] };
    expect(toCriPodStats({ sandbox, network, containers: [] }).linux?.network).toEqual({
      timestamp: at(6),
      default_interface: null,
      interfaces: [],
    });
  });
});
