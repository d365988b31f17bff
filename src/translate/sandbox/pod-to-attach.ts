import type { StringMap } from '../../store/records';

/** A published port; `hostPort` is never 0. */
export interface PodPort {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  /** '' for all addresses of the node. */
  readonly hostIp: string;
}

export interface PodDns {
  readonly servers: readonly string[];
  readonly searches: readonly string[];
  readonly options: readonly string[];
}

/** What the network needs to know about a pod. */
export interface PodToAttach {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly annotations: StringMap;
  readonly ports: readonly PodPort[];
  /** Undefined if the pod uses the DNS of the node. */
  readonly dns: PodDns | undefined;
}
