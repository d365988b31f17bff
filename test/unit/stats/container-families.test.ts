import Long from 'long';
import {
  CONTAINER_FAMILIES,
  NETWORK_FAMILIES,
  type ContainerInput,
} from '../../../src/stats/metrics/container-families';
import { BASE_LABELS, sample, type Family, type Identity } from '../../../src/stats/metrics/metric';
import { METRIC_DESCRIPTORS } from '../../../src/stats/metrics/pod-metrics';
import { GROUP_FAMILIES } from '../../../src/stats/metrics/group-families';
import { containerRecord } from '../support/records';

const IDENTITY: Identity = { container: 'c', id: 'i', image: 'm', name: 'n', namespace: 's', pod: 'p' };
const BASE = ['c', 'i', 'm', 'n', 's', 'p'];

function samplesOf<Input>(families: readonly Family<Input>[], input: Input): unknown[] {
  return sample(families, IDENTITY, input).map(({ name, labelValues, value }) => {
    expect([name.slice(0, 10), labelValues.slice(0, BASE.length)]).toEqual(['container_', BASE]);
    return [name.slice(10), ...labelValues.slice(BASE.length), value];
  });
}

function heads(families: readonly Pick<Family<never>, 'name' | 'kind' | 'labelKeys'>[]): string[] {
  return families.map(({ name, kind, labelKeys }) => {
    expect(labelKeys.slice(0, BASE_LABELS.length)).toEqual(BASE_LABELS);
    return [name, kind, ...labelKeys.slice(BASE_LABELS.length)].join(' ');
  });
}

const { resources } = containerRecord();
const startedAt = Long.fromString('1700000001900000000');
const limited = { ...resources, cpuPeriod: 15, cpuQuota: 16, cpuShares: 17, memoryLimit: 18 };

/** Each number occurs once, so no value can stand for another. */
const FULL: ContainerInput = {
  container: containerRecord({ startedAt, resources: { ...limited, memorySwapLimit: 19 } }),
  nowSeconds: 1,
  devices: [
    ...[{ path: '/dev/sda', major: '8', minor: '0', readBytes: 7, writeBytes: 9, reads: 8, writes: 10 }],
    ...[{ path: '/dev/sdb', major: '8', minor: '16', readBytes: 11, writeBytes: 13, reads: 12, writes: 14 }],
  ],
  layer: { timestamp: Long.ONE, mountpoint: '/', usedBytes: 20, inodesUsed: 99 },
  fileSystem: { device: '/dev/vda', totalBytes: 21, totalInodes: 22, freeInodes: 23 },
  processes: 3,
  openFiles: { files: 4, sockets: 5 },
  openFilesLimit: 6,
};

describe('the metric families of a container', () => {
  it('are those of cAdvisor, with their kinds and labels', () => {
    expect(heads(CONTAINER_FAMILIES)).toEqual([
      'container_last_seen gauge',
      'container_start_time_seconds gauge',
      'container_processes gauge',
      'container_file_descriptors gauge',
      'container_sockets gauge',
      'container_ulimits_soft gauge ulimit',
      'container_fs_usage_bytes gauge device',
      'container_fs_limit_bytes gauge device',
      'container_fs_inodes_total gauge device',
      'container_fs_inodes_free gauge device',
      'container_fs_reads_bytes_total counter device',
      'container_fs_reads_total counter device',
      'container_fs_writes_bytes_total counter device',
      'container_fs_writes_total counter device',
      'container_spec_cpu_period gauge',
      'container_spec_cpu_quota gauge',
      'container_spec_cpu_shares gauge',
      'container_spec_memory_limit_bytes gauge',
      'container_spec_memory_swap_limit_bytes gauge',
      'container_spec_memory_reservation_limit_bytes gauge',
    ]);
  });

  it('take each value from its own field', () => {
    expect(samplesOf(CONTAINER_FAMILIES, FULL)).toEqual([
      ['last_seen', 1],
      ['start_time_seconds', 1_700_000_001],
      ['processes', 3],
      ['file_descriptors', 4],
      ['sockets', 5],
      ['ulimits_soft', 'max_open_files', 6],
      ['fs_usage_bytes', '/dev/vda', 20],
      ['fs_limit_bytes', '/dev/vda', 21],
      ['fs_inodes_total', '/dev/vda', 22],
      ['fs_inodes_free', '/dev/vda', 23],
      ['fs_reads_bytes_total', '/dev/sda', 7],
      ['fs_reads_bytes_total', '/dev/sdb', 11],
      ['fs_reads_total', '/dev/sda', 8],
      ['fs_reads_total', '/dev/sdb', 12],
      ['fs_writes_bytes_total', '/dev/sda', 9],
      ['fs_writes_bytes_total', '/dev/sdb', 13],
      ['fs_writes_total', '/dev/sda', 10],
      ['fs_writes_total', '/dev/sdb', 14],
      ['spec_cpu_period', 15],
      ['spec_cpu_quota', 16],
      ['spec_cpu_shares', 17],
      ['spec_memory_limit_bytes', 18],
      ['spec_memory_swap_limit_bytes', 19],
      ['spec_memory_reservation_limit_bytes', 0],
    ]);
  });

  it.each([0, -1])("have the kernel's defaults without requests, and no quota for %d", (cpuQuota) => {
    const container = containerRecord({
      startedAt,
      resources: { ...resources, cpuQuota, memorySwapLimit: cpuQuota },
    });
    expect(samplesOf(CONTAINER_FAMILIES, { container, nowSeconds: 1, devices: [] })).toEqual([
      ['last_seen', 1],
      ['start_time_seconds', 1_700_000_001],
      ['spec_cpu_period', 100_000],
      ['spec_cpu_shares', 1_024],
      ['spec_memory_limit_bytes', 0],
      ['spec_memory_swap_limit_bytes', 0],
      ['spec_memory_reservation_limit_bytes', 0],
    ]);
  });

  it('include the size of a file system even before its layer is measured', () => {
    const input = { ...FULL, devices: [], layer: undefined };
    const names = samplesOf(CONTAINER_FAMILIES, input).map((one) => (one as string[])[0]);
    expect(names).not.toContain('fs_usage_bytes');
    expect(names).toContain('fs_limit_bytes');
  });
});

describe('the metric families of a network', () => {
  it('take each value from its own counter, for each interface', () => {
    const one = {
      ...{ rxBytes: 1, rxPackets: 2, rxDropped: 3, rxErrors: 4 },
      ...{ txBytes: 5, txPackets: 6, txDropped: 7, txErrors: 8 },
    };
    const other = {
      ...{ rxBytes: 11, rxPackets: 12, rxDropped: 13, rxErrors: 14 },
      ...{ txBytes: 15, txPackets: 16, txDropped: 17, txErrors: 18 },
    };
    const all = [
      { name: 'eth0', ...one },
      { name: 'net1', ...other },
    ];
    const families = [
      'network_receive_bytes_total',
      'network_receive_packets_total',
      'network_receive_packets_dropped_total',
      'network_receive_errors_total',
      'network_transmit_bytes_total',
      'network_transmit_packets_total',
      'network_transmit_packets_dropped_total',
      'network_transmit_errors_total',
    ];
    expect(heads(NETWORK_FAMILIES)).toEqual(families.map((name) => `container_${name} counter interface`));
    expect(samplesOf(NETWORK_FAMILIES, all)).toEqual(
      families.flatMap((name, at) => [
        [name, 'eth0', at + 1],
        [name, 'net1', at + 11],
      ]),
    );
  });
});

it('there is one descriptor for each family, without internal fields', () => {
  expect(METRIC_DESCRIPTORS).toEqual(
    [...GROUP_FAMILIES, ...CONTAINER_FAMILIES, ...NETWORK_FAMILIES].map(
      ({ name, help, kind, labelKeys }) => ({ name, help, kind, labelKeys }),
    ),
  );
  for (const { help } of METRIC_DESCRIPTORS) expect(help).toMatch(/^[A-Z].*\.$/);
});
