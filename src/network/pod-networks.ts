import type { EngineContainerInspect } from '../engine/types';
import { invalidArgument } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { NamespaceMode } from '../proto/enums';
import type { SandboxRecord } from '../store/records';
import type { PodToAttach } from '../translate/sandbox/pod-to-attach';
import { CniNetwork, type CniOptions } from './cni/cni-network';
import { ObservedCni, type ObservedCniOptions } from './cni/observed-cni';
import { DockerBridge } from './docker-bridge';
import type {
  NetworkChoice,
  NetworkCondition,
  NetworkKeeper,
  NodeCni,
  PodNetwork,
  PodNetworkState,
} from './pod-network';

/**
 * The networks of all pods of the node. A new pod gets the network that the node has at that moment. The network mode of a
 * pod's pause container shows which kind of network the pod has, so pods on both kinds continue to work when the choice
 * changes.
 */
export class PodNetworks implements PodNetwork, NetworkKeeper {
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
    return this.of(sandbox.HostConfig.NetworkMode).attach(sandbox, pod, signal);
  }

  stateOf(sandbox: EngineContainerInspect): Promise<PodNetworkState> {
    return this.of(sandbox.HostConfig.NetworkMode).stateOf(sandbox);
  }

  troubleOf(sandbox: SandboxRecord, signal?: AbortSignal): Promise<string> {
    if (sandbox.namespaces.network === NamespaceMode.NODE) return Promise.resolve('');
    return this.of(sandbox.networkMode).troubleOf(sandbox, signal);
  }

  /** Asks only CNI. This does nothing for a pod that is not on a CNI network, because CNI holds nothing for it. */
  detach(sandboxId: string, pid: number): Promise<void> {
    return this.cni.detach(sandboxId, pid);
  }

  rememberedIps(sandboxId: string): readonly string[] {
    return this.cni.rememberedIps(sandboxId);
  }

  setPodCidr(podCidr: string): void {
    this.cni.setPodCidr(podCidr);
  }

  /**
   * Lists the sandboxes that CNI holds. A daemon that is configured not to use CNI lists none, because another daemon may hold
   * them.
   */
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

  private of(networkMode: string | undefined): PodNetwork {
    return networkMode === this.cni.networkMode ? this.cni : this.bridge;
  }

  private forNewPods(): PodNetwork {
    if (this.choice === 'cni') return this.cni;
    return this.choice === 'auto' && this.cni.isInstalled ? this.cni : this.bridge;
  }
}

/**
 * Opens the networks of a daemon that serves the node.
 * @param plugin `--network-plugin`: auto, cni, or no-op and '' for the Engine's bridge, as with cri-dockerd.
 */
export async function choosePodNetworks(plugin: string, cni: CniOptions): Promise<PodNetworks> {
  const choice = networkChoice(plugin);
  return new PodNetworks(await CniNetwork.open(cni, choice), choice, cni.logger, cni.onUnserved);
}

/** Like choosePodNetworks, for a daemon that only observes. */
export async function observePodNetworks(plugin: string, cni: ObservedCniOptions): Promise<PodNetworks> {
  const choice = networkChoice(plugin);
  return new PodNetworks(await ObservedCni.open(cni, choice !== 'bridge'), choice, cni.logger);
}

/**
 * Parses the value of `--network-plugin`.
 * @throws INVALID_ARGUMENT for a value that `--network-plugin` does not accept.
 */
export function networkChoice(plugin: string): NetworkChoice {
  if (plugin === 'no-op' || plugin === '') return 'bridge';
  if (plugin === 'auto' || plugin === 'cni') return plugin;
  throw invalidArgument(
    '--network-plugin',
    `"${plugin}" is none of auto, cni, no-op (CNI plugins such as calico run under cni)`,
  );
}
