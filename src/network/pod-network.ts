import type { EngineContainerInspect } from '../translate/engine';

/** One CRI condition's worth of readiness. `reason` is CamelCase, both are '' when ready. */
export interface NetworkCondition {
  readonly ready: boolean;
  readonly reason: string;
  readonly message: string;
}

/** How pods that do not share the host's network are connected. */
export interface PodNetwork {
  /** `NetworkMode` of the pause container. */
  readonly networkMode: string;
  condition(): NetworkCondition;
  /**
   * Connects a pod whose pause process runs, or finds it connected.
   * @returns its IPs, primary first.
   */
  attach(sandbox: EngineContainerInspect): Promise<readonly string[]>;
  /** Addresses of a pod that was attached before, without changing anything. */
  addressesOf(sandbox: EngineContainerInspect): readonly string[];
}
