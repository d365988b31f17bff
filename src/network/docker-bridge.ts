import type { Logger } from '../lib/logger';
import type { SandboxRecord } from '../store/records';
import type { EngineContainerInspect } from '../engine/types';
import type { PodToAttach } from '../translate/sandbox/pod-to-attach';
import { engineIps } from '../translate/sandbox/sandbox-record';
import { limitsBandwidth } from './cni/capability-args';
import type { NetworkCondition, PodNetwork, PodNetworkState } from './pod-network';

const NO_BANDWIDTH = "the limits of the bandwidth annotations: the Engine's bridge knows none";

/** The Engine's own bridge: it connects, publishes ports and cleans up by itself. For nodes without CNI. */
export class DockerBridge implements PodNetwork {
  readonly networkMode = 'bridge';

  constructor(
    private readonly logger: Pick<Logger, 'warn'>,
    private readonly onUnserved?: (capability: string) => void,
  ) {}

  condition(): NetworkCondition {
    return { ready: true, reason: '', message: '' };
  }

  attach({ Id }: Pick<EngineContainerInspect, 'Id'>, pod: PodToAttach): Promise<void> {
    if (limitsBandwidth(pod.annotations)) {
      this.logger.warn('A pod does not get what it asks of its network', {
        ...{ sandbox: Id, pod: `${pod.namespace}/${pod.name}` },
        reason: NO_BANDWIDTH,
      });
      this.onUnserved?.('bandwidth');
    }
    return Promise.resolve();
  }

  detach(): Promise<void> {
    return Promise.resolve();
  }

  stateOf(sandbox: EngineContainerInspect): Promise<PodNetworkState> {
    return Promise.resolve({ ready: true, ips: engineIps(sandbox) });
  }

  troubleOf({ annotations }: SandboxRecord): Promise<string> {
    return Promise.resolve(limitsBandwidth(annotations) ? NO_BANDWIDTH : '');
  }

  rememberedIps(): readonly string[] {
    return [];
  }

  setPodCidr(): void {
    // The Engine chooses addresses by its own configuration.
  }

  heldSandboxes(): readonly string[] {
    return [];
  }

  livingSandboxes(): Promise<ReadonlySet<string>> {
    return Promise.resolve(new Set());
  }

  abandon(): void {
    // The Engine frees what it gave.
  }

  collectGarbage(): void {
    // The Engine's own business.
  }

  letGo(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
