import type { EngineContainerInspect } from '../translate/engine';
import { engineIps } from '../translate/sandbox-record';
import type { NetworkCondition, PodNetwork, PodNetworkState } from './pod-network';

/** The Engine's own bridge: it connects, publishes ports and cleans up by itself. For nodes without CNI. */
export class DockerBridge implements PodNetwork {
  readonly networkMode = 'bridge';

  condition(): NetworkCondition {
    return { ready: true, reason: '', message: '' };
  }

  attach(): Promise<void> {
    return Promise.resolve();
  }

  detach(): Promise<void> {
    return Promise.resolve();
  }

  stateOf(sandbox: EngineContainerInspect): Promise<PodNetworkState> {
    return Promise.resolve({ ready: true, ips: engineIps(sandbox) });
  }

  troubleOf(): Promise<string> {
    return Promise.resolve('');
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
