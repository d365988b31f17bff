import type { EngineContainerInspect } from '../../engine/types';
import { Protocol } from '../../proto/enums';
import type { StringMap } from '../../store/records';
import { parseEngineName, withoutSlash } from '../shared/names';
import { fromEnginePorts, type PodPort } from './ports';
import { type CheckedSandbox, type PodDns, podDns } from './sandbox-create';

/** What the pod's network needs to know about the pod. */
export interface PodToAttach {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly annotations: StringMap;
  readonly ports: readonly PodPort[];
  /** Undefined if the pod uses the DNS of the node. */
  readonly dns: PodDns | undefined;
}

const PROTOCOLS = { [Protocol.TCP]: 'tcp', [Protocol.UDP]: 'udp', [Protocol.SCTP]: 'sctp' } as const;

/** Extracts from a checked request what the pod's network needs. */
export function toPodToAttach({ config, metadata }: CheckedSandbox): PodToAttach {
  const { name, namespace, uid } = metadata;
  return {
    name,
    namespace,
    uid,
    annotations: config.annotations,
    ports: config.port_mappings
      .filter(({ host_port }) => host_port !== 0)
      .map(({ host_port, container_port, protocol, host_ip }) => ({
        hostPort: host_port,
        containerPort: container_port,
        protocol: PROTOCOLS[protocol as keyof typeof PROTOCOLS],
        hostIp: host_ip,
      })),
    dns: podDns(config),
  };
}

/**
 * Extracts the pod's identity and ports from the sandbox's name and port bindings. Returns undefined for a container
 * whose name is not a sandbox's.
 */
export function podFromSandbox({ Name, HostConfig }: EngineContainerInspect): PodToAttach | undefined {
  const parsed = parseEngineName(withoutSlash(Name));
  if (parsed === undefined) return undefined;
  return { ...parsed.pod, annotations: {}, ports: fromEnginePorts(HostConfig.PortBindings), dns: undefined };
}
