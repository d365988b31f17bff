import type { Logger } from '../lib/logger';
import { NamespaceMode } from '../proto/enums';
import type { SandboxRecord } from '../store/records';
import type { EngineContainerInspect } from '../engine/types';
import type { PodToAttach } from '../translate/sandbox/pod-to-attach';
import { DockerBridge } from './docker-bridge';
import type { NetworkCondition, PodNetwork, PodNetworkState } from './pod-network';

/**
 * `cni`: always. `bridge`: always the Engine's. `auto`: the Engine's until the node has a CNI configuration or plugins
 * (docs/adr/0010-which-pod-network.md).
 */
export type NetworkChoice = 'auto' | 'cni' | 'bridge';

/** CNI, as a daemon has it: with its hands, or only with its eyes. */
export interface NodeCni extends PodNetwork {
  /** Whether the node is meant for CNI. */
  readonly isInstalled: boolean;
}

/**
 * All pods of the node. Which network a new pod gets is the node's choice of the moment; which one a pod has is
 * written in its pause container's network mode, so either kind lives on when the choice changes.
 */
export class NodePods implements PodNetwork {
  private readonly bridge: DockerBridge;

  constructor(
    private readonly cni: NodeCni,
    private readonly choice: NetworkChoice,
    logger: Pick<Logger, 'warn'>,
    onUnserved?: (capability: string) => void,
  ) {
    this.bridge = new DockerBridge(logger, onUnserved);
  }

  get networkMode(): string {
    return this.forNewPods().networkMode;
  }

  condition(): NetworkCondition {
    return this.forNewPods().condition();
  }

  attach(sandbox: EngineContainerInspect, pod: PodToAttach, signal?: AbortSignal): Promise<void> {
    return this.of(sandbox).attach(sandbox, pod, signal);
  }

  /** Nothing is held on a CNI network for a pod that is on none. */
  detach(sandboxId: string, pid: number): Promise<void> {
    return this.cni.detach(sandboxId, pid);
  }

  stateOf(sandbox: EngineContainerInspect): Promise<PodNetworkState> {
    return this.of(sandbox).stateOf(sandbox);
  }

  troubleOf(sandbox: SandboxRecord, signal?: AbortSignal): Promise<string> {
    if (sandbox.namespaces.network === NamespaceMode.NODE) return Promise.resolve('');
    const isOnCni = sandbox.networkMode === this.cni.networkMode;
    return (isOnCni ? this.cni : this.bridge).troubleOf(sandbox, signal);
  }

  rememberedIps(sandboxId: string): readonly string[] {
    return this.cni.rememberedIps(sandboxId);
  }

  setPodCidr(podCidr: string): void {
    this.cni.setPodCidr(podCidr);
  }

  /** A daemon that was told to stay off CNI keeps its hands off what another one may hold. */
  heldSandboxes(): readonly string[] {
    return this.choice === 'bridge' ? [] : this.cni.heldSandboxes();
  }

  async livingSandboxes(): Promise<ReadonlySet<string>> {
    return this.choice === 'bridge' ? new Set() : this.cni.livingSandboxes();
  }

  abandon(sandboxId: string): void {
    this.cni.abandon(sandboxId);
  }

  collectGarbage(existing: ReadonlySet<string>): void {
    if (this.choice !== 'bridge') this.cni.collectGarbage(existing);
  }

  letGo(): Promise<readonly string[]> {
    return this.cni.letGo();
  }

  close(): Promise<void> {
    return this.cni.close();
  }

  private of(sandbox: EngineContainerInspect): PodNetwork {
    return sandbox.HostConfig.NetworkMode === this.cni.networkMode ? this.cni : this.bridge;
  }

  private forNewPods(): PodNetwork {
    if (this.choice === 'cni') return this.cni;
    return this.choice === 'auto' && this.cni.isInstalled ? this.cni : this.bridge;
  }
}
