import { join } from 'node:path';
import type { EngineContainerInspect } from '../../engine/types';
import { failedPrecondition } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import type { NetworkCondition, NodeCni, PodNetworkState } from '../pod-network';
import { DirectoryWatch } from './directory-watch';
import { addressesOfProcess } from './namespace-addresses';
import { NodeNetwork } from './node-network';
import { PluginChain } from './plugin-chain';
import { IF_NAME, ipsOf, podEntry } from './pod-entry';
import { readAttachments } from './result-cache';

/** The facts about the network of a pod that another runtime serves. */
export interface PodNetworkFound extends PodNetworkState {
  /** The source of the addresses: CNI's cache, or only the pod's namespace. */
  readonly source: 'cache' | 'namespace';
  /** The name of the network in the cache entry; '' when there is no entry. */
  readonly networkName: string;
}

export interface ObservedCniOptions {
  readonly confDir: string;
  readonly binDirs: readonly string[];
  readonly cacheDir: string;
  /** Called for a running pod without a known network, when the pod may have a network now. */
  readonly onAttached: (sandboxId: string) => void;
  readonly logger: Logger;
}

/**
 * Pods on a CNI network that another runtime serves. This class reads the files of CNI's library and the kernel's tables. It
 * runs no plugin, holds no namespace and frees nothing.
 */
export class ObservedCni implements NodeCni {
  readonly networkMode = 'none';
  private readonly node: NodeNetwork;
  private readonly watch: DirectoryWatch;
  /**
   * Running pods that have no network yet. There are such pods because a pod is seen as soon as it runs, which is before its
   * ADD.
   */
  private readonly unattached = new Set<string>();

  private constructor(private readonly options: ObservedCniOptions) {
    const { confDir, binDirs, logger, cacheDir } = options;
    const plugins = new PluginChain(binDirs, 0);
    const chain = {
      validate: plugins.findAll.bind(plugins),
      status: () => Promise.resolve(),
    };
    this.node = new NodeNetwork({ confDir, binDirs, chain, logger });
    this.watch = new DirectoryWatch(join(cacheDir, 'results'), () => this.lookAgain());
  }

  /** @param forNewPods whether configurations are read. */
  static async open(options: ObservedCniOptions, forNewPods: boolean): Promise<ObservedCni> {
    const network = new ObservedCni(options);
    await network.watch.start();
    if (forNewPods) await network.node.start();
    return network;
  }

  get isInstalled(): boolean {
    return this.node.isInstalled;
  }

  condition(): NetworkCondition {
    return this.node.condition();
  }

  async stateOf({ Id: id, State: { Pid: pid } }: EngineContainerInspect): Promise<PodNetworkState> {
    const { ready, ips } = await findPodNetwork(
      { cacheDir: this.options.cacheDir, network: this.node.lastConfig?.name },
      id,
      pid,
    );
    if (pid !== 0 && !ready) this.unattached.add(id);
    else this.unattached.delete(id);
    return { ready, ips };
  }

  rememberedIps(): readonly string[] {
    return [];
  }

  troubleOf(): Promise<string> {
    return Promise.resolve('');
  }

  setPodCidr(podCidr: string): void {
    this.node.setPodCidr(podCidr);
  }

  attach(): Promise<void> {
    return Promise.reject(failedPrecondition('this dockbridge connects no pods'));
  }

  detach(): Promise<void> {
    return Promise.reject(failedPrecondition('this dockbridge disconnects no pods'));
  }

  heldSandboxes(): readonly string[] {
    return [];
  }

  livingSandboxes(): Promise<ReadonlySet<string>> {
    return Promise.resolve(new Set());
  }

  abandon(sandboxId: string): void {
    this.unattached.delete(sandboxId);
  }

  collectGarbage(): void {
    // There is nothing to do, because only the runtime that runs the plugins knows what is garbage.
  }

  letGo(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  async close(): Promise<void> {
    this.watch.close();
    await this.node.close();
  }

  private lookAgain(): void {
    for (const id of this.unattached) this.options.onAttached(id);
  }
}

/**
 * Reads the network of a pod.
 * @param pid of the pause process; 0 when it is not running.
 * @param network name of the node's current network.
 */
export async function findPodNetwork(
  { cacheDir, network }: { readonly cacheDir: string; readonly network: string | undefined },
  id: string,
  pid: number,
): Promise<PodNetworkFound> {
  const entry = podEntry(await readAttachments(cacheDir, id), network);
  const ips = pid === 0 ? [] : await addressesOfProcess(pid, IF_NAME);
  const networkName = entry?.networkName ?? '';
  const isPending = entry !== undefined && entry.result === undefined;
  if (ips.length === 0 || isPending) return { ready: false, ips: [], source: 'namespace', networkName };
  const known = entry === undefined ? [] : ipsOf(entry);
  const isTrue = known.length > 0 && known.every((ip) => ips.includes(ip));
  return {
    ready: true,
    ...(isTrue ? { ips: known, source: 'cache' } : { ips, source: 'namespace' }),
    networkName,
  };
}
