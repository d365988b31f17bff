import type { ContainerRecord } from '../../store/records';
import type { DeviceIo, InterfaceReading, LayerReading } from '../readings';
import type { OpenFiles } from '../disk/disk-work';
import { familiesOf, type Family, type Values } from './metric';
import type { NamedDevice } from './group-families';

/** Defaults of the kernel, for containers that request nothing. */
const DEFAULT_CPU_SHARES = 1_024;
const DEFAULT_CPU_PERIOD = 100_000;

/** The file system that holds a container's writable layer; within a project quota, what the quota leaves of it. */
export interface FileSystem {
  /** `/dev/…`. */
  readonly device: string;
  readonly totalBytes: number;
  readonly totalInodes: number;
  readonly freeInodes: number;
}

/** What is known of a container beside its cgroup. */
export interface ContainerInput {
  readonly container: ContainerRecord;
  readonly nowSeconds: number;
  readonly devices: readonly NamedDevice[];
  readonly layer?: LayerReading | undefined;
  readonly fileSystem?: FileSystem | undefined;
  readonly processes?: number | undefined;
  readonly openFiles?: OpenFiles | undefined;
  /** RLIMIT_NOFILE of the first process, -1 for unlimited. */
  readonly openFilesLimit?: number | undefined;
}

const { counter, gauge } = familiesOf<ContainerInput>();
const perDevice =
  (pick: (device: DeviceIo) => number) =>
  ({ devices }: ContainerInput): Values =>
    devices.map((device) => [pick(device), device.path]);
const ofFileSystem =
  (pick: (fileSystem: FileSystem, input: ContainerInput) => number | undefined) =>
  (input: ContainerInput): Values =>
    input.fileSystem === undefined ? [] : [[pick(input.fileSystem, input), input.fileSystem.device]];

export const CONTAINER_FAMILIES: readonly Family<ContainerInput>[] = [
  gauge(
    'last_seen',
    'When the container was last seen, in seconds since the epoch.',
    ({ nowSeconds }) => nowSeconds,
  ),
  gauge(
    'start_time_seconds',
    'When the container was started, in seconds since the epoch.',
    ({ container }) => Math.floor(container.startedAt.toNumber() / 1e9),
  ),
  gauge('processes', 'Processes running.', ({ processes }) => processes),
  gauge('file_descriptors', 'Open file descriptors.', ({ openFiles }) => openFiles?.files),
  gauge('sockets', 'Open sockets.', ({ openFiles }) => openFiles?.sockets),
  gauge(
    'ulimits_soft',
    'Soft limits of the first process, -1 for unlimited.',
    ({ openFilesLimit }) => [[openFilesLimit, 'max_open_files']],
    'ulimit',
  ),
  gauge(
    'fs_usage_bytes',
    'Bytes of the writable layer.',
    ofFileSystem((_, { layer }) => layer?.usedBytes),
    'device',
  ),
  gauge(
    'fs_limit_bytes',
    'Size of its file system.',
    ofFileSystem(({ totalBytes }) => totalBytes),
    'device',
  ),
  gauge(
    'fs_inodes_total',
    'Inodes of its file system.',
    ofFileSystem(({ totalInodes }) => totalInodes),
    'device',
  ),
  gauge(
    'fs_inodes_free',
    'Free inodes of its file system.',
    ofFileSystem(({ freeInodes }) => freeInodes),
    'device',
  ),
  counter(
    'fs_reads_bytes_total',
    'Bytes read from a block device.',
    perDevice(({ readBytes }) => readBytes),
    'device',
  ),
  counter(
    'fs_reads_total',
    'Reads from a block device.',
    perDevice(({ reads }) => reads),
    'device',
  ),
  counter(
    'fs_writes_bytes_total',
    'Bytes written to a block device.',
    perDevice(({ writeBytes }) => writeBytes),
    'device',
  ),
  counter(
    'fs_writes_total',
    'Writes to a block device.',
    perDevice(({ writes }) => writes),
    'device',
  ),
  gauge(
    'spec_cpu_period',
    'Period of the CPU quota, in microseconds.',
    ({ container }) => container.resources.cpuPeriod || DEFAULT_CPU_PERIOD,
  ),
  gauge('spec_cpu_quota', 'CPU quota of a period, in microseconds.', ({ container: { resources } }) =>
    resources.cpuQuota > 0 ? resources.cpuQuota : undefined,
  ),
  gauge(
    'spec_cpu_shares',
    'CPU shares.',
    ({ container }) => container.resources.cpuShares || DEFAULT_CPU_SHARES,
  ),
  gauge(
    'spec_memory_limit_bytes',
    'Memory limit, 0 for none.',
    ({ container }) => container.resources.memoryLimit,
  ),
  gauge('spec_memory_swap_limit_bytes', 'Limit of memory and swap, 0 for none.', ({ container }) =>
    Math.max(0, container.resources.memorySwapLimit),
  ),
  // Neither CRI nor kubelet can ask for a memory reservation.
  gauge('spec_memory_reservation_limit_bytes', 'Memory that is kept for it, 0 for none.', () => 0),
];

const network = familiesOf<readonly InterfaceReading[]>();
const perInterface =
  (pick: (one: InterfaceReading) => number) =>
  (interfaces: readonly InterfaceReading[]): Values =>
    interfaces.map((one) => [pick(one), one.name]);
const traffic = (
  name: string,
  help: string,
  pick: (one: InterfaceReading) => number,
): Family<readonly InterfaceReading[]> =>
  network.counter(`network_${name}_total`, help, perInterface(pick), 'interface');

/** These are reported once for each pod, not for each container. */
export const NETWORK_FAMILIES: readonly Family<readonly InterfaceReading[]>[] = [
  traffic('receive_bytes', 'Bytes received.', ({ rxBytes }) => rxBytes),
  traffic('receive_packets', 'Packets received.', ({ rxPackets }) => rxPackets),
  traffic('receive_packets_dropped', 'Packets dropped on receipt.', ({ rxDropped }) => rxDropped),
  traffic('receive_errors', 'Errors on receipt.', ({ rxErrors }) => rxErrors),
  traffic('transmit_bytes', 'Bytes sent.', ({ txBytes }) => txBytes),
  traffic('transmit_packets', 'Packets sent.', ({ txPackets }) => txPackets),
  traffic('transmit_packets_dropped', 'Packets dropped on sending.', ({ txDropped }) => txDropped),
  traffic('transmit_errors', 'Errors on sending.', ({ txErrors }) => txErrors),
];
