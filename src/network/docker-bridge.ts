import type { EngineContainerInspect } from '../engine/types';
import type { Logger } from '../lib/logger';
import type { SandboxRecord } from '../store/records';
import type { PodToAttach } from '../translate/sandbox/pod-to-attach';
import { engineIps } from '../translate/sandbox/sandbox-record';
import { limitsBandwidth } from './cni/asked-of-network';
import type { NetworkCondition, PodNetwork, PodNetworkState } from './pod-network';

const NO_BANDWIDTH = "the limits of the bandwidth annotations: the Engine's bridge does not support limits";

/** The Engine's own bridge, for nodes without CNI. The Engine itself connects pods, publishes ports and cleans up. */
export class DockerBridge implements PodNetwork {
  readonly networkMode = 'bridge';

  constructor(
    private readonly logger: Pick<Logger, 'warn'>,
    private readonly onUnserved?: (capability: string) => void,
  ) {}

  condition(): NetworkCondition {
    return { ready: true, reason: '', message: '' };
  }

  /** Reports only the requests that the bridge cannot fulfil, because the Engine has connected the pod already. */
  attach({ Id }: Pick<EngineContainerInspect, 'Id'>, pod: PodToAttach): Promise<void> {
    if (limitsBandwidth(pod.annotations)) {
      this.logger.warn('The network does not provide what a pod requests', {
        sandbox: Id,
        pod: `${pod.namespace}/${pod.name}`,
        reason: NO_BANDWIDTH,
      });
      this.onUnserved?.('bandwidth');
    }
    return Promise.resolve();
  }

  stateOf(sandbox: EngineContainerInspect): Promise<PodNetworkState> {
    return Promise.resolve({ ready: true, ips: engineIps(sandbox) });
  }

  troubleOf({ annotations }: SandboxRecord): Promise<string> {
    return Promise.resolve(limitsBandwidth(annotations) ? NO_BANDWIDTH : '');
  }
}
