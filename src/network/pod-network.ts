import type { EngineContainerInspect } from '../engine/types';
import type { SandboxRecord } from '../store/records';
import type { PodToAttach } from '../translate/sandbox/pod-to-attach';

/** One CRI condition's worth of readiness. `reason` is CamelCase; it and `message` are '' when the network is ready. */
export interface NetworkCondition {
  readonly ready: boolean;
  readonly reason: string;
  readonly message: string;
}

/** What a look at a pod's network found. */
export interface PodNetworkState {
  /** False when its setup was never finished, or when its namespace is not the one that was set up. */
  readonly ready: boolean;
  /** Primary first. */
  readonly ips: readonly string[];
}

/** A network of pods that do not share the host's. */
export interface PodNetwork {
  /** `NetworkMode` of the pause container of the next pod. */
  readonly networkMode: string;
  condition(): NetworkCondition;
  /** Connects a pod whose pause process runs. A failed call leaves nothing behind. */
  attach(sandbox: EngineContainerInspect, pod: PodToAttach, signal?: AbortSignal): Promise<void>;
  /** Tells the state of a pod that was attached before, by us or by cri-dockerd, and leaves its network as it is. */
  stateOf(sandbox: EngineContainerInspect): Promise<PodNetworkState>;
  /**
   * Diagnoses a pod's network for people. On a CNI network this runs CHECK, which costs as much as attach.
   * @returns why the network is not as attach made it, and what the pod requests and the network does not provide; '' when
   * all is well or nothing can tell.
   */
  troubleOf(sandbox: SandboxRecord, signal?: AbortSignal): Promise<string>;
}

/** Keeps what dockbridge itself holds for the networks of pods. Only CNI needs it: the Engine's bridge frees its own. */
export interface NetworkKeeper {
  /** @param podCidr the node's pod addresses: one CIDR, or two with a comma. */
  setPodCidr(podCidr: string): void;
  /**
   * Frees all that attach took. It succeeds when there is nothing (left) to free, and works when the container, its
   * namespace or the network's configuration is gone.
   * @param pid of the pause process, 0 when it does not run.
   */
  detach(sandboxId: string, pid: number): Promise<void>;
  /** The IPs that a pod was given, for a pod that cannot be asked; none when its network does not record them. */
  rememberedIps(sandboxId: string): readonly string[];
  /** Sandboxes for which something is still held; the caller abandons those that the Engine does not know. */
  heldSandboxes(): readonly string[];
  /** The held sandboxes that have living processes in their network namespaces. */
  livingSandboxes(): Promise<ReadonlySet<string>>;
  /** Detaches a sandbox that vanished. It returns at once and tries until it succeeds. */
  abandon(sandboxId: string): void;
  /**
   * Frees what belongs to no sandbox. Called once, after the first list of the Engine; it returns at once, and attach waits
   * for its end.
   * @param existing all sandboxes that exist.
   */
  collectGarbage(existing: ReadonlySet<string>): void;
  /**
   * Lets go of everything that is held only for this daemon, and frees nothing: from now on somebody else serves the pods.
   * @returns the sandboxes whose namespaces were held.
   */
  letGo(): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** CNI on this node: run by this daemon, or only observed. */
export interface NodeCni extends PodNetwork, NetworkKeeper {
  /** Whether the node is meant for CNI. */
  readonly isInstalled: boolean;
}

/**
 * `cni`: always CNI. `bridge`: always the Engine's bridge. `auto`: the bridge until the node has a CNI configuration or
 * plugins (docs/adr/0010-which-pod-network.md).
 */
export type NetworkChoice = 'auto' | 'cni' | 'bridge';
