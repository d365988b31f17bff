import type { cri } from '../../../../src/proto';
import { NamespaceMode, Protocol } from '../../../../src/proto/enums';

const PROTOCOLS = { [Protocol.TCP]: 'tcp', [Protocol.UDP]: 'udp', [Protocol.SCTP]: 'sctp' } as const;

export interface CheckpointPort {
  readonly protocol: string;
  readonly container_port: number;
  readonly host_port: number;
  readonly host_ip: string;
}

/**
 * Returns the file that cri-dockerd and dockershim write before a sandbox starts. @param packageName the
 * package of the Go types, which the checksum covers: `core` in cri-dockerd, `dockershim` in dockershim.
 */
export function sandboxCheckpoint(
  config: cri.IPodSandboxConfig,
  packageName: 'core' | 'dockershim',
): { readonly name: string; readonly text: string } {
  const ports = (config.port_mappings ?? []).map((port) => ({
    protocol: PROTOCOLS[port.protocol ?? 0],
    container_port: port.container_port ?? 0,
    host_port: port.host_port ?? 0,
    host_ip: port.host_ip ?? '',
  }));
  const hostNetwork = config.linux?.security_context?.namespace_options?.network === NamespaceMode.NODE;
  const name = config.metadata?.name ?? '';
  return {
    name,
    text: JSON.stringify({
      version: 'v1',
      name,
      namespace: config.metadata?.namespace ?? '',
      data: {
        ...(ports.length === 0 ? {} : { port_mappings: ports }),
        ...(hostNetwork ? { host_network: true } : {}),
      },
      checksum: checkpointChecksum(ports, hostNetwork, packageName),
    }),
  };
}

/** Returns FNV-1a with 32 bits over Go's dump of the data. */
export function checkpointChecksum(
  ports: readonly CheckpointPort[],
  hostNetwork: boolean,
  packageName: 'core' | 'dockershim',
): number {
  // cri-dockerd moved these two types to a separate package.
  const types = packageName === 'core' ? 'config' : packageName;
  const list = ports
    .map(
      (port) =>
        `<*>{Protocol:(*${types}.Protocol)${port.protocol} ContainerPort:(*int32)${port.container_port} ` +
        `HostPort:(*int32)${port.host_port} HostIP:(string)${port.host_ip}}`,
    )
    .join(' ');
  const mappings = ports.length === 0 ? '<nil>' : `[${list}]`;
  const dump =
    `(${packageName}.CheckpointData){PortMappings:([]*${types}.PortMapping)${mappings} ` +
    `HostNetwork:(bool)${String(hostNetwork)}}`;
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(dump)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}
