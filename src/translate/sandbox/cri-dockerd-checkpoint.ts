import { NamespaceMode } from '../../proto/enums';
import type { SandboxRecord } from '../../store/records';
import type { EngineHostConfig } from '../../engine/types';
import { fromEnginePorts, protocolName, type PublishedPort } from './ports';
import type { CheckedSandbox } from './sandbox-create';

/**
 * The file in which cri-dockerd, and dockershim before it, store data of a sandbox. For both, it is the only source of
 * the ports for CNI's DEL, and of the pod's name after the Engine has lost the container.
 */
export interface SandboxCheckpoint {
  readonly name: string;
  readonly namespace: string;
  readonly hostNetwork: boolean;
  readonly ports: readonly PublishedPort[];
}

export interface ReadCheckpoint extends SandboxCheckpoint {
  /**
   * Whether cri-dockerd accepts the file. It accepts no file of dockershim, whose checksum includes the names of other Go
   * types.
   */
  readonly isSound: boolean;
}

const VERSION = 'v1';

/** Converts a RunPodSandbox request to its checkpoint. */
export function toCheckpoint({ config, metadata, namespaces }: CheckedSandbox): SandboxCheckpoint {
  return {
    name: metadata.name,
    namespace: metadata.namespace,
    hostNetwork: namespaces.network === NamespaceMode.NODE,
    ports: config.port_mappings.map(({ protocol, container_port, host_port, host_ip }) => ({
      protocol: protocolName(protocol),
      containerPort: container_port,
      hostPort: host_port,
      hostIp: host_ip,
    })),
  };
}

/** Builds the missing checkpoint of a sandbox from the Engine's data. */
export function checkpointOf(
  { metadata, namespaces }: SandboxRecord,
  { PortBindings }: EngineHostConfig,
): SandboxCheckpoint {
  return {
    name: metadata.name,
    namespace: metadata.namespace,
    hostNetwork: namespaces.network === NamespaceMode.NODE,
    ports: fromEnginePorts(PortBindings),
  };
}

/** Returns the text of the file. As in Go, empty fields are left out. */
export function encodeCheckpoint(checkpoint: SandboxCheckpoint): string {
  const { name, namespace, hostNetwork, ports } = checkpoint;
  const port_mappings = ports.map(({ protocol, containerPort, hostPort, hostIp }) => ({
    protocol,
    container_port: containerPort,
    host_port: hostPort,
    ...(hostIp === '' ? {} : { host_ip: hostIp }),
  }));
  return JSON.stringify({
    version: VERSION,
    name,
    namespace,
    data: {
      ...(ports.length === 0 ? {} : { port_mappings }),
      ...(hostNetwork ? { host_network: true } : {}),
    },
    checksum: checkpointChecksum(checkpoint),
  });
}

/** @returns undefined if the text is not a checkpoint. */
export function decodeCheckpoint(text: string): ReadCheckpoint | undefined {
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { version, name, namespace, data, checksum } = fieldsOf(file);
  const { port_mappings: mappings = [], host_network: hostNetwork = false } = fieldsOf(data);
  if (typeof name !== 'string' || typeof namespace !== 'string' || typeof hostNetwork !== 'boolean')
    return undefined;
  if (typeof data !== 'object' || !Array.isArray(mappings)) return undefined;
  const ports = mappings.map(toPort);
  if (!ports.every((port) => port !== undefined)) return undefined;
  const checkpoint = { name, namespace, hostNetwork, ports };
  return { ...checkpoint, isSound: version === VERSION && checksum === checkpointChecksum(checkpoint) };
}

/** Returns the 32-bit FNV-1a hash of the data's text in Go's deep format, which follows pointers and names types. */
export function checkpointChecksum({
  ports,
  hostNetwork,
}: Pick<SandboxCheckpoint, 'ports' | 'hostNetwork'>): number {
  const printed = ports.map(
    ({ protocol, containerPort, hostPort, hostIp }) =>
      `<*>{Protocol:(*config.Protocol)${protocol} ContainerPort:(*int32)${containerPort} HostPort:(*int32)${hostPort} HostIP:(string)${hostIp}}`,
  );
  const list = ports.length === 0 ? '<nil>' : `[${printed.join(' ')}]`;
  const text = `(core.CheckpointData){PortMappings:([]*config.PortMapping)${list} HostNetwork:(bool)${hostNetwork}}`;
  let hash = 0x81_1c_9d_c5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01_00_01_93);
  return hash >>> 0;
}

function toPort(mapping: unknown): PublishedPort | undefined {
  const { protocol, container_port, host_port, host_ip = '' } = fieldsOf(mapping);
  if (typeof protocol !== 'string' || typeof host_ip !== 'string') return undefined;
  if (typeof container_port !== 'number' || typeof host_port !== 'number') return undefined;
  return { protocol, containerPort: container_port, hostPort: host_port, hostIp: host_ip };
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
