import type { EngineContainerInspect } from '../engine/types';
import type { SandboxRecord } from '../store/records';
import type { PodToAttach } from '../translate/sandbox/pod-to-attach';

/**
 * Whether the network is ready, in the terms of a CRI condition. `reason` is CamelCase. `reason` and `message` are '' when the
 * network is ready.
 */
export interface NetworkCondition {
  readonly ready: boolean;
  readonly reason: string;
  readonly message: string;
}

/** The state in which a pod's network was found. */
export interface PodNetworkState {
  /**
   * False when the setup of the network never finished, or when the pod's present namespace is not the one that was set up.
   */
  readonly ready: boolean;
  /** IP addresses of the pod, the primary address first. */
  readonly ips: readonly string[];
}

/** A network for pods that do not use the host's network. */
export interface PodNetwork {
  /** The Engine's `NetworkMode` for the pause container of the next pod. */
  readonly networkMode: string;
  condition(): NetworkCondition;
  /** Connects a pod whose pause process is running. A failed call is undone, if necessary later in the background. */
  attach(sandbox: EngineContainerInspect, pod: PodToAttach, signal?: AbortSignal): Promise<void>;
  /** Returns the state of a pod that we or cri-dockerd attached earlier. Changes nothing in the pod's network. */
  stateOf(sandbox: EngineContainerInspect): Promise<PodNetworkState>;
  /**
   * Diagnoses a pod's network for people. On a CNI network this runs CHECK, which costs as much as attach.
   * @returns why the network is not as attach made it, and what the pod requests but the network does not provide; '' when
   * there is no problem or the network cannot be checked.
   */
  troubleOf(sandbox: SandboxRecord, signal?: AbortSignal): Promise<string>;
}

/**
 * Manages what dockbridge itself holds for the networks of pods. Only CNI needs this, because the Engine's bridge frees its
 * resources itself.
 */
export interface NetworkKeeper {
  /**
   * Sets the range of the pods' addresses.
   * @param podCidr the range of the node's pod addresses: one CIDR, or two separated by a comma.
   */
  setPodCidr(podCidr: string): void;
  /**
   * Frees everything that attach acquired. Succeeds when there is nothing to free, and works when the container, its namespace
   * or the network's configuration is gone.
   * @param pid of the pause process; 0 when it is not running.
   */
  detach(sandboxId: string, pid: number): Promise<void>;
  /**
   * Returns the IP addresses that a pod was given, for a pod that no longer runs; none when its network does not record them.
   */
  rememberedIps(sandboxId: string): readonly string[];
  /** Lists the sandboxes for which something is still held. The caller abandons those that the Engine does not know. */
  heldSandboxes(): readonly string[];
  /** Lists the held sandboxes whose network namespaces have running processes. */
  livingSandboxes(): Promise<ReadonlySet<string>>;
  /** Detaches a sandbox that vanished. Returns immediately, and keeps trying until it succeeds. */
  abandon(sandboxId: string): void;
  /**
   * Frees everything that belongs to no sandbox. Called once, after the Engine's containers were first listed. Returns
   * immediately; attach waits until the work is done.
   * @param existing all sandboxes that exist.
   */
  collectGarbage(existing: ReadonlySet<string>): void;
  /**
   * Releases everything that is held only for this daemon, without freeing the pods' networks, because another runtime serves
   * the pods from now on.
   * @returns the sandboxes whose namespaces were held.
   */
  letGo(): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** CNI on this node. This daemon either runs the plugins or only observes. */
export interface NodeCni extends PodNetwork, NetworkKeeper {
  /** Whether the node is meant for CNI. */
  readonly isInstalled: boolean;
}

/**
 * `cni`: always CNI. `bridge`: always the Engine's bridge. `auto`: the bridge until the node has a CNI configuration or
 * plugins (docs/adr/0010-which-pod-network.md).
 */
export type NetworkChoice = 'auto' | 'cni' | 'bridge';
