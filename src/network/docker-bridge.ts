import type { EngineContainerInspect } from '../translate/engine';
import { engineIps } from '../translate/sandbox-record';
import type { NetworkCondition, PodNetwork } from './pod-network';

/** The Engine's own bridge: it connects, publishes ports and cleans up by itself. For nodes without a CNI config. */
export class DockerBridge implements PodNetwork {
  readonly networkMode = 'bridge';

  condition(): NetworkCondition {
    return { ready: true, reason: '', message: '' };
  }

  attach(sandbox: EngineContainerInspect): Promise<readonly string[]> {
    return Promise.resolve(engineIps(sandbox));
  }

  addressesOf(sandbox: EngineContainerInspect): readonly string[] {
    return engineIps(sandbox);
  }
}
