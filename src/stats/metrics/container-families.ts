import type { ContainerRecord } from '../../store/records';
import type { DeviceIo, InterfaceReading, LayerReading } from '../readings';
import type { OpenFiles } from '../disk/disk-work';
import { familiesOf, type Family, type Values } from './metric';
import type { NamedDevice } from './group-families';

/** The kernel's defaults, for containers that request no CPU settings. */
const DEFAULT_CPU_SHARES = 1_024;
const DEFAULT_CPU_PERIOD = 100_000;

/**
 * The file system that contains a container's writable layer. Within a project quota, its size and free space are the quota's.
 */
export interface FileSystem {
  /** The device's path, `/dev/…`. */
  readonly device: string;
  readonly totalBytes: number;
  readonly totalInodes: number;
  readonly freeInodes: number;
}

/** The facts about a container that do not come from its cgroup. */
export interface ContainerInput {
  readonly container: ContainerRecord;
  readonly nowSeconds: number;
  readonly devices: readonly NamedDevice[];
  readonly layer?: LayerReading | undefined;
  readonly fileSystem?: FileSystem | undefined;
  readonly processes?: number | undefined;
  readonly openFiles?: OpenFiles | undefined;
  /** RLIMIT_NOFILE of the first process; -1 means unlimited. */
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
    'Soft limits of the first process; -1 means unlimited.',
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
    'Size of the file system that contains the writable layer.',
    ofFileSystem(({ totalBytes }) => totalBytes),
    'device',
  ),
  gauge(
    'fs_inodes_total',
    'Inodes of the file system that contains the writable layer.',
    ofFileSystem(({ totalInodes }) => totalInodes),
    'device',
  ),
  gauge(
    'fs_inodes_free',
    'Free inodes of the file system that contains the writable layer.',
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
  gauge('spec_cpu_quota', 'CPU quota per period, in microseconds.', ({ container: { resources } }) =>
    resources.cpuQuota > 0 ? resources.cpuQuota : undefined,
  ),
  gauge(
    'spec_cpu_shares',
    'CPU shares.',
    ({ container }) => container.resources.cpuShares || DEFAULT_CPU_SHARES,
  ),
  gauge(
    'spec_memory_limit_bytes',
    'Memory limit; 0 means no limit.',
    ({ container }) => container.resources.memoryLimit,
  ),
  gauge(
    'spec_memory_swap_limit_bytes',
    'Limit of memory and swap together; 0 means no limit.',
    ({ container }) => Math.max(0, container.resources.memorySwapLimit),
  ),
  // The value is always 0, because neither CRI nor kubelet can request a memory reservation.
  gauge('spec_memory_reservation_limit_bytes', 'Memory reserved for the container; 0 means none.', () => 0),
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

/** The families that are reported once for each pod, not for each container. */
export const NETWORK_FAMILIES: readonly Family<readonly InterfaceReading[]>[] = [
  traffic('receive_bytes', 'Bytes received.', ({ rxBytes }) => rxBytes),
  traffic('receive_packets', 'Packets received.', ({ rxPackets }) => rxPackets),
  traffic('receive_packets_dropped', 'Received packets that were dropped.', ({ rxDropped }) => rxDropped),
  traffic('receive_errors', 'Errors while receiving.', ({ rxErrors }) => rxErrors),
  traffic('transmit_bytes', 'Bytes sent.', ({ txBytes }) => txBytes),
  traffic('transmit_packets', 'Packets sent.', ({ txPackets }) => txPackets),
  traffic('transmit_packets_dropped', 'Packets dropped while sending.', ({ txDropped }) => txDropped),
  traffic('transmit_errors', 'Errors while sending.', ({ txErrors }) => txErrors),
];
