import type { EngineContainerInspect } from '../../engine/types';
import type { Changing } from '../../lib/changing';
import { allSettled, Semaphore } from '../../lib/async/concurrency';
import { sharedAbortController } from '../../lib/async/deadline';
import { KeyedLock } from '../../lib/async/keyed-lock';
import { coalesce } from '../../lib/async/shared-work';
import { failedPrecondition, internal, messageOf } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import type { PodNamespaces } from '../../node/netns/namespace-handles';
import type { SandboxRecord } from '../../store/records';
import { podFromSandbox, type PodToAttach } from '../../translate/sandbox/pod-to-attach';
import type { NetworkChoice, NetworkCondition, NodeCni, PodNetworkState } from '../pod-network';
import { unservedBy } from './asked-of-network';
import { attachedByOthers, Cleanup, freeGarbage } from './garbage';
import { passOverDead, publishersOf, refusePortConflicts } from './host-ports';
import { addressesOfProcess, guessedResult, isLoopbackUp } from './namespace-addresses';
import type { NetworkConfig } from './network-config';
import { NodeNetwork } from './node-network';
import { PluginChain, type PluginObservers } from './plugin-chain';
import {
  askedFor,
  checkAll,
  configOf,
  IF_NAME,
  ipsOf,
  isOfPodNetwork,
  isOurs,
  LOOPBACK,
  loopbackOf,
  podEntry,
  type UnfiledPod,
  unservedOf,
} from './pod-entry';
import { podIps, resultOf } from './result';
import { type Attachment, type CachedAttachment, ResultCache } from './result-cache';
import type { RunningPlugins } from './running-plugins';

/** The number of pods for which plugins may run at once. More would only queue for the locks of iptables and IPAM. */
const CONCURRENT_PODS = 16;
const NOT_ATTACHED: PodNetworkState = { ready: false, ips: [] };

export interface CniOptions extends PluginObservers {
  readonly confDir: string;
  readonly binDirs: readonly string[];
  readonly cacheDir: string;
  /** The directory of the cache that other programs use; by default libcni's. Tests replace it. */
  readonly othersCacheDir?: string;
  readonly handles: PodNamespaces;
  readonly running: RunningPlugins;
  /** Time limit of one run of a plugin, in ms. */
  readonly timeoutMs: Changing<number>;
  /** Called for each capability that a new pod requests but no plugin provides. */
  readonly onUnserved?: (capability: string) => void;
  readonly logger: Logger;
}

/** Pods on the node's CNI network. Each ADD is recorded before it runs, so that it can be undone even after a kill. */
export class CniNetwork implements NodeCni {
  readonly networkMode = 'none';
  private readonly chain: PluginChain;
  private readonly node: NodeNetwork;
  private readonly cache: ResultCache;
  private readonly handles: PodNamespaces;
  private readonly lock = new KeyedLock();
  private readonly slots = new Semaphore(CONCURRENT_PODS);
  private readonly cleanup: Cleanup;
  private readonly stopped = sharedAbortController();
  private readonly inUse = coalesce(() => this.handles.inUse());
  private isLetGo = false;
  /** Sandboxes that have a handle. Some of them may not be in the cache. */
  private held = new Set<string>();
  /** Pods of this network that are not in the cache, with the facts that the Engine and the kernel report about them. */
  private readonly unfiled = new Map<string, UnfiledPod>();
  /** Pods that were in the cache at the start. Only these can be garbage, because pods that were added later exist. */
  private loaded: ReadonlySet<string> = new Set();
  private orphansGone: Promise<boolean> = Promise.resolve(true);
  private tidy: Promise<void> = Promise.resolve();

  private constructor(private readonly options: CniOptions) {
    const { confDir, binDirs, cacheDir, timeoutMs, logger } = options;
    this.chain = new PluginChain(binDirs, timeoutMs, options.observe, options.running, options.tracer);
    this.node = new NodeNetwork({ confDir, binDirs, chain: this.chain, logger });
    this.cache = new ResultCache(cacheDir);
    this.handles = options.handles;
    this.cleanup = new Cleanup((id) => this.detachVanished(id), logger);
  }

  /** @param choice with `bridge`, only pods that are on CNI already are served, and no configurations are read. */
  static async open(options: CniOptions, choice: NetworkChoice = 'cni'): Promise<CniNetwork> {
    const network = new CniNetwork(options);
    await network.cache.load();
    network.held = new Set(await network.handles.list());
    network.loaded = new Set(network.cache.values().map(({ containerId }) => containerId));
    await options.running.load();
    network.orphansGone = options.running.settle(network.stopped.signal);
    if (choice !== 'bridge') await network.node.start();
    if (choice === 'cni' || network.isInstalled) await network.prepareHandles();
    return network;
  }

  get isInstalled(): boolean {
    return this.node.isInstalled;
  }

  condition(): NetworkCondition {
    return this.node.condition();
  }

  setPodCidr(podCidr: string): void {
    this.node.setPodCidr(podCidr);
  }

  async attach(sandbox: EngineContainerInspect, pod: PodToAttach, signal?: AbortSignal): Promise<void> {
    const id = sandbox.Id;
    await this.exclusively(id, () => this.attachLocked(id, sandbox.State.Pid, pod, signal), signal);
  }

  async detach(sandboxId: string, pid: number): Promise<void> {
    await this.exclusively(sandboxId, () => this.detachLocked(sandboxId, pid));
    this.cleanup.done(sandboxId);
  }

  async stateOf(sandbox: EngineContainerInspect): Promise<PodNetworkState> {
    const { Id: id } = sandbox;
    const pid = sandbox.State.Pid;
    if (pid === 0) return NOT_ATTACHED;
    const entry = this.entryOf(id);
    if (entry !== undefined && entry.result === undefined) return NOT_ATTACHED;
    if ((await this.handles.heldPath(id)) !== '') {
      // After somebody has restarted the container by hand, its namespace is a new one without a network.
      if (!(await this.handles.isOf(id, pid))) return NOT_ATTACHED;
      if (entry !== undefined) return { ready: true, ips: ipsOf(entry) };
    }
    // The pod was started by cri-dockerd, or the cache was lost, so the addresses are read from the namespace.
    const ips = await addressesOfProcess(pid, IF_NAME);
    if (ips.length === 0) return NOT_ATTACHED;
    if (entry === undefined) this.unfiled.set(id, { pod: podFromSandbox(sandbox), ips });
    await this.adopt(id, pid);
    const known = entry === undefined ? [] : ipsOf(entry);
    return { ready: true, ips: known.length > 0 && known.every((ip) => ips.includes(ip)) ? known : ips };
  }

  async troubleOf({ id: sandboxId }: Pick<SandboxRecord, 'id'>, signal?: AbortSignal): Promise<string> {
    if (this.cache.of(sandboxId).length === 0) return '';
    const { chain, handles, cache } = this;
    const check = (): Promise<string> => checkAll(chain, handles, sandboxId, cache.of(sandboxId), signal);
    const found = await this.exclusively(sandboxId, check, signal);
    return [found, ...unservedOf(cache.of(sandboxId))].filter((text) => text !== '').join('; ');
  }

  rememberedIps(sandboxId: string): readonly string[] {
    const entry = this.entryOf(sandboxId);
    return entry === undefined ? [] : ipsOf(entry);
  }

  heldSandboxes(): readonly string[] {
    const cached = this.cache.values().filter((entry) => this.isOurs(entry));
    return [...new Set([...this.held, ...cached.map(({ containerId }) => containerId)])];
  }

  livingSandboxes(): Promise<ReadonlySet<string>> {
    return this.inUse();
  }

  abandon(sandboxId: string): void {
    if (this.holdsFor(sandboxId)) this.cleanup.request(sandboxId);
  }

  collectGarbage(existing: ReadonlySet<string>): void {
    this.tidy = this.collect(existing);
  }

  /** Collects garbage while no pod is attached, because plugins must not assign the addresses that they free. */
  private async collect(existing: ReadonlySet<string>): Promise<void> {
    const { logger } = this.options;
    if (!(await this.orphansGone)) {
      logger.warn('Skipping CNI garbage collection, because a plugin of an earlier run is still running');
      return;
    }
    const { signal } = this.stopped;
    await this.slots
      .runAlone(async () => {
        const config = this.node.lastConfig;
        if (config === undefined) return;
        const own = this.cache.values().filter((entry) => this.isValid(entry, existing));
        const filed = [...own, ...(await attachedByOthers(this.options, config.name))];
        const lost = [...existing].filter((id) => this.cache.of(id).length === 0);
        await freeGarbage(this.chain, config, { filed, lost }, signal);
      }, signal)
      .catch((error: unknown) => {
        if (!signal.aborted) logger.warn('CNI garbage collection failed', { error: messageOf(error) });
      });
  }

  /** Entries of other programs always count as valid. Only pods that are known to be gone are garbage. */
  private isValid(entry: CachedAttachment, existing: ReadonlySet<string>): boolean {
    const { containerId } = entry;
    return existing.has(containerId) || !this.loaded.has(containerId) || !this.isOurs(entry);
  }

  /** Fails while a process uses the pod's address, because no other pod may get this address yet. The caller tries again. */
  private async detachVanished(id: string): Promise<void> {
    if ((await this.inUse()).has(id))
      throw failedPrecondition(
        'processes are still running in the network namespace of a pod that the Engine does not know',
      );
    await this.detach(id, 0);
  }

  async letGo(): Promise<readonly string[]> {
    this.isLetGo = true;
    this.cleanup.close();
    const ids = new Set([...this.held, ...(await this.handles.list())]);
    const released: string[] = [];
    for (const id of ids) {
      await this.exclusively(id, async () => {
        if ((await this.handles.heldPath(id)) !== '') released.push(id);
        await this.handles.release(id);
        this.held.delete(id);
      });
    }
    return released;
  }

  async close(): Promise<void> {
    this.stopped.abort();
    this.cleanup.close();
    await this.node.close();
    await this.tidy;
  }

  private async exclusively<T>(id: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.lock.run(
      id,
      async () => {
        await this.options.running.whenQuiet(id, signal);
        return this.slots.run(work, signal);
      },
      signal,
    );
  }

  private async attachLocked(id: string, pid: number, pod: PodToAttach, signal?: AbortSignal): Promise<void> {
    const config = this.node.required();
    const entry: CachedAttachment = {
      containerId: id,
      networkName: config.name,
      ifName: IF_NAME,
      netns: this.handles.pathOf(id),
      ...askedFor(id, pod, this.node.currentPodCidr),
      config: config.json,
      result: undefined,
    };
    const { chain, cache, handles } = this;
    const dead = await passOverDead(pod.ports, { chain, cache, handles, logger: this.options.logger });
    const living = this.cache.values().filter((other) => !dead.includes(other));
    refusePortConflicts(pod.ports, publishersOf(living, this.unfiled));
    this.held.add(id);
    let begun = false;
    try {
      // The preparations for ADD run in parallel, because the handle costs a fork. `put` follows the check for port conflicts
      // without an await in between. So if two pods want the same port, one of them sees the other's entry.
      const [, , loopbackUp] = await allSettled([
        this.cache.put(entry),
        this.handles.hold(id, pid),
        isLoopbackUp(pid),
      ]);
      begun = true;
      if (!loopbackUp) await this.chain.add(LOOPBACK, loopbackOf(id, entry.netns), signal);
      const result = await this.chain.add(config, entry, signal);
      await this.cache.put({ ...entry, result });
      if (podIps(result, IF_NAME).length === 0)
        throw internal(`CNI network "${config.name}" gave pod ${pod.namespace}/${pod.name} no address`);
      this.tellUnserved(config, entry, pod);
    } catch (error) {
      // If no plugin has run yet, only the handle needs to be undone.
      if (!begun) await this.cache.remove(entry).catch(() => undefined);
      await this.undo(id, pid);
      throw error;
    }
  }

  private tellUnserved(config: NetworkConfig, entry: CachedAttachment, pod: PodToAttach): void {
    for (const { capability, message } of unservedBy(config, entry.capabilityArgs)) {
      this.options.logger.warn('The network does not provide what a pod requests', {
        sandbox: entry.containerId,
        pod: `${pod.namespace}/${pod.name}`,
        reason: message,
      });
      this.options.onUnserved?.(capability);
    }
  }

  /** Undoes a failed ADD. If undoing it fails too, keeps trying until it succeeds. */
  private async undo(id: string, pid: number): Promise<void> {
    try {
      await this.detachLocked(id, pid);
    } catch (error) {
      this.options.logger.warn('Cannot undo a failed CNI ADD yet; retrying', {
        sandbox: id,
        error: messageOf(error),
      });
      this.cleanup.request(id);
    }
  }

  private async detachLocked(id: string, pid: number): Promise<void> {
    // Callers detach every pod, also those on other networks.
    if (!this.holdsFor(id)) return;
    if (pid !== 0) await this.adopt(id, pid);
    const netns = await this.handles.heldPath(id);
    const entries = this.cache.of(id);
    const isFiled = entries.some(isOfPodNetwork);
    for (const entry of entries.reverse()) {
      const config = configOf(entry);
      // An ADD that was cut off has no result, but it may have made rules, which must be removed.
      const result = entry.result ?? (await guessedResult(pid, entry.ifName, netns));
      if (config !== undefined) await this.chain.del(config, { ...entry, netns }, result);
      else if (isOfPodNetwork(entry)) await this.detachUnfiled(id, pid, netns, entry);
      await this.cache.remove(entry);
    }
    if (!isFiled) await this.detachUnfiled(id, pid, netns);
    await this.cache.removeUnreadable(id);
    await this.handles.release(id);
    this.held.delete(id);
    this.unfiled.delete(id);
  }

  private holdsFor(id: string): boolean {
    const filed = this.cache.of(id).length + this.cache.unreadableOf(id).length;
    return filed > 0 || this.held.has(id) || this.unfiled.has(id);
  }

  /**
   * Frees the network of a pod whose cache entry was lost or cannot be read. It assumes the node's current network, which may
   * not be the pod's.
   * @param entry the readable part of the entry.
   */
  private async detachUnfiled(
    containerId: string,
    pid: number,
    netns: string,
    entry?: CachedAttachment,
  ): Promise<void> {
    const config = this.node.lastConfig;
    if (config === undefined) return;
    const { pod, ips = [] } = this.unfiled.get(containerId) ?? {};
    const found = pid === 0 ? ips : await addressesOfProcess(pid, IF_NAME);
    if (pid !== 0 && found.length === 0) return;
    const attachment: Attachment = {
      ...{ containerId, networkName: config.name, ifName: IF_NAME, netns },
      ...askedFor(containerId, pod, this.node.currentPodCidr),
      ...(entry === undefined ? {} : { cniArgs: entry.cniArgs, capabilityArgs: entry.capabilityArgs }),
    };
    const bare = this.cache
      .unreadableOf(containerId)
      .find((result) => result !== undefined && podIps(result, IF_NAME).length > 0);
    const guess = found.length === 0 ? undefined : resultOf(found, IF_NAME, netns);
    await this.chain.del(config, attachment, entry?.result ?? bare ?? guess).catch((error: unknown) => {
      this.options.logger.warn('The network of a pod without a cached result may not be fully freed', {
        sandbox: containerId,
        error: messageOf(error),
      });
    });
  }

  /**
   * Prepares the directory of handles. A failure is only logged: a pod that needs the directory tries to create it again, and
   * fails with the reason.
   */
  private async prepareHandles(): Promise<void> {
    await this.handles.prepare().catch((error: unknown) => {
      this.options.logger.warn('Cannot prepare the directory of network namespaces', {
        error: messageOf(error),
      });
    });
  }

  /** Makes a handle for a running pod that has none because cri-dockerd started the pod. */
  private async adopt(id: string, pid: number): Promise<void> {
    if (this.isLetGo || (await this.handles.heldPath(id)) !== '') return;
    try {
      await this.handles.hold(id, pid);
      this.held.add(id);
    } catch (error) {
      this.options.logger.debug(
        () => "Cannot create a handle for a pod's network namespace",
        () => ({ sandbox: id, error: messageOf(error) }),
      );
    }
  }

  private entryOf(id: string): CachedAttachment | undefined {
    return podEntry(this.cache.of(id), this.node.lastConfig?.name);
  }

  private isOurs(entry: CachedAttachment): boolean {
    return isOurs(entry, this.handles);
  }
}
