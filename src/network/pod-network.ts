import type { SandboxRecord } from '../store/records';
import type { EngineContainerInspect } from '../engine/types';
import type { PodToAttach } from '../translate/sandbox/pod-to-attach';

/** One CRI condition's worth of readiness. `reason` is CamelCase, both are '' when ready. */
export interface NetworkCondition {
  readonly ready: boolean;
  readonly reason: string;
  readonly message: string;
}

/** How a pod's network is found to be. */
export interface PodNetworkState {
  /** False: its setup was never finished, or its namespace is another than the one that was set up. */
  readonly ready: boolean;
  /** Primary first. */
  readonly ips: readonly string[];
}

/** How pods that do not share the host's network are connected. */
export interface PodNetwork {
  /** `NetworkMode` of the pause container of the next pod. */
  readonly networkMode: string;
  condition(): NetworkCondition;
  /** Connects a pod whose pause process runs. On failure nothing stays behind. */
  attach(sandbox: EngineContainerInspect, pod: PodToAttach, signal?: AbortSignal): Promise<void>;
  /**
   * Frees all that attach took. Success when there is nothing (left) to free; works when the container, its namespace
   * or the network's configuration is gone.
   * @param pid of the pause process, 0 when it does not run.
   */
  detach(sandboxId: string, pid: number): Promise<void>;
  /** Tells the state of a pod that was attached before, by us or by cri-dockerd, and leaves its network as it is. */
  stateOf(sandbox: EngineContainerInspect): Promise<PodNetworkState>;
  /**
   * For people: runs CNI's CHECK, which costs as much as attach.
   * @returns why the pod's network is not as attach made it, and what the pod asks of it in vain; '' when all is well or
   * nothing can tell.
   */
  troubleOf(sandbox: SandboxRecord, signal?: AbortSignal): Promise<string>;
  /** IPs that it was given, as far as we keep them ourselves; for a pod that cannot be asked. */
  rememberedIps(sandboxId: string): readonly string[];
  /** The node's pod addresses: one CIDR, or two with a comma. */
  setPodCidr(podCidr: string): void;
  /** Sandboxes that something is still held for: whose the Engine does not know are given to `abandon`. */
  heldSandboxes(): readonly string[];
  /** Held sandboxes in whose networks processes live. */
  livingSandboxes(): Promise<ReadonlySet<string>>;
  /** detach() of a sandbox that vanished: returns at once, tries until it succeeds. */
  abandon(sandboxId: string): void;
  /** Once, after the first look at the Engine: no sandbox but these exists. Returns at once; attach waits for its end. */
  collectGarbage(existing: ReadonlySet<string>): void;
  /** Lets go of all that is held only for us, and frees nothing: somebody else sees to the pods from now on. @returns whose it was. */
  letGo(): Promise<readonly string[]>;
  close(): Promise<void>;
}
