import type Long from 'long';
import type { cri } from '../proto';
import type { ContainerRecord, SandboxRecord } from '../store/records';
import type {
  CpuReading,
  InterfaceReading,
  IoReading,
  LayerReading,
  MemoryReading,
  NetworkReading,
  Pressure,
  PressureLine,
  SwapReading,
  UsageReading,
} from './readings';

/** One container's readings. `usage` is missing when the container is not running. */
export interface ContainerUsage {
  readonly container: ContainerRecord;
  readonly usage?: UsageReading | undefined;
  readonly layer?: LayerReading | undefined;
}

export interface PodUsage {
  readonly sandbox: SandboxRecord;
  readonly usage?: UsageReading | undefined;
  /** Absent for a pod on the host's network, because its traffic cannot be separated from the node's. */
  readonly network?: NetworkReading | undefined;
  readonly processes?: { readonly timestamp: Long; readonly count: number } | undefined;
  readonly containers: readonly ContainerUsage[];
}

/** Converts readings to the CRI message ContainerStats. */
export function toCriContainerStats({ container, usage, layer }: ContainerUsage): cri.IContainerStats {
  const { id, metadata, labels, annotations } = container;
  return {
    attributes: { id, metadata, labels, annotations },
    cpu: ifKnown(usage?.cpu, toCriCpu),
    memory: ifKnown(usage?.memory, toCriMemory),
    swap: ifKnown(usage?.swap, toCriSwap),
    io: ifKnown(usage?.io, toCriIo),
    writable_layer: ifKnown(layer, toCriLayer),
  };
}

/** Converts readings to the CRI message PodSandboxStats. */
export function toCriPodStats(pod: PodUsage): cri.IPodSandboxStats {
  const { id, metadata, labels, annotations } = pod.sandbox;
  const { usage, network, processes } = pod;
  return {
    attributes: { id, metadata, labels, annotations },
    linux: {
      cpu: ifKnown(usage?.cpu, toCriCpu),
      memory: ifKnown(usage?.memory, toCriMemory),
      io: ifKnown(usage?.io, toCriIo),
      network: ifKnown(network, toCriNetwork),
      process: ifKnown(processes, ({ timestamp, count }) => ({
        timestamp,
        process_count: { value: count },
      })),
      containers: pod.containers.map(toCriContainerStats),
    },
  };
}

function toCriCpu(cpu: CpuReading): cri.ICpuUsage {
  return {
    timestamp: cpu.timestamp,
    usage_core_nano_seconds: { value: cpu.usageNanos },
    usage_nano_cores: wrapped(cpu.nanoCores),
    psi: ifKnown(cpu.pressure, toCriPressure),
  };
}

function toCriMemory(memory: MemoryReading): cri.IMemoryUsage {
  return {
    timestamp: memory.timestamp,
    usage_bytes: { value: memory.usage },
    working_set_bytes: { value: memory.workingSet },
    // CRI defines available memory as the limit minus the working set, so there is no value without a limit.
    available_bytes: ifKnown(memory.limit, (limit) => ({ value: Math.max(0, limit - memory.workingSet) })),
    rss_bytes: wrapped(memory.rss),
    page_faults: wrapped(memory.pageFaults),
    major_page_faults: wrapped(memory.majorPageFaults),
    psi: ifKnown(memory.pressure, toCriPressure),
  };
}

function toCriSwap({ timestamp, usage, limit }: SwapReading): cri.ISwapUsage {
  return {
    timestamp,
    swap_usage_bytes: { value: usage },
    swap_available_bytes: ifKnown(limit, (most) => ({ value: Math.max(0, most - usage) })),
  };
}

function toCriIo({ timestamp, pressure }: IoReading): cri.IIoUsage {
  return { timestamp, psi: toCriPressure(pressure) };
}

function toCriLayer({ timestamp, mountpoint, usedBytes, inodesUsed }: LayerReading): cri.IFilesystemUsage {
  return {
    timestamp,
    fs_id: { mountpoint },
    used_bytes: { value: usedBytes },
    inodes_used: wrapped(inodesUsed),
  };
}

function toCriPressure({ some, full }: Pressure): cri.IPsiStats {
  return { Some: ifKnown(some, toCriPressureLine), Full: ifKnown(full, toCriPressureLine) };
}

function toCriPressureLine({ totalNanos, avg10, avg60, avg300 }: PressureLine): cri.IPsiData {
  return { Total: totalNanos, Avg10: avg10, Avg60: avg60, Avg300: avg300 };
}

function toCriNetwork({ timestamp, defaultInterface, others }: NetworkReading): cri.INetworkUsage {
  return {
    timestamp,
    default_interface: ifKnown(defaultInterface, toCriInterface),
    interfaces: others.map(toCriInterface),
  };
}

function toCriInterface(one: InterfaceReading): cri.INetworkInterfaceUsage {
  return {
    name: one.name,
    rx_bytes: { value: one.rxBytes },
    rx_errors: { value: one.rxErrors },
    tx_bytes: { value: one.txBytes },
    tx_errors: { value: one.txErrors },
  };
}

function wrapped(value: number | undefined): cri.IUInt64Value | null {
  return ifKnown(value, (known) => ({ value: known }));
}

/** Returns null for an unknown value, because a missing message means "unknown" while zeros would claim a reading. */
function ifKnown<T, Message>(value: T | undefined, make: (value: T) => Message): Message | null {
  return value === undefined ? null : make(value);
}
