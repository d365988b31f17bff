import type Long from 'long';
import { mapLimited } from '../lib/async/concurrency';
import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { NamespaceMode } from '../proto/enums';
import type { ContainerRecord, SandboxRecord } from '../store/records';
import type { Store } from '../store/store';
import type { InterfaceReading, NetworkReading, ReadingClock, UsageReading, UsageSource } from './readings';
import type { ContainerUsage, PodUsage } from './cri-stats';
import type { DiskWork } from './disk/disk-work';
import type { LayerBudget } from './disk/layer-budget';
import { hasProcess } from '../store/states';
import type { PodMetrics } from './metrics/metric';
import { PodMetricsReader } from './metrics/pod-metrics';
import { PodSums } from './pod-sum';

/**
 * How many pods or containers of one call are read at the same time. The source has a limit of its own for all calls together.
 */
const CONCURRENCY = 16;
/** The name that CNI runtimes and the Engine give a pod's first interface. */
const USUAL_DEFAULT = 'eth0';

export interface NodeStatsParts {
  readonly store: Store;
  readonly source: UsageSource;
  readonly layers: LayerBudget;
  readonly work: DiskWork;
  readonly clock: ReadingClock;
  readonly logger: Logger;
}

/**
 * Takes readings of all running pods and containers of this node. Follows the store: takes a first reading of each pod and
 * container that starts, and closes its files when it ends.
 */
export class NodeStats {
  private readonly sums = new PodSums();
  private readonly unsubscribe: (() => void)[] = [];

  private readonly metrics: PodMetricsReader;

  constructor(private readonly parts: NodeStatsParts) {
    this.metrics = new PodMetricsReader(parts);
  }

  start(): void {
    const { store, layers } = this.parts;
    layers.start();
    this.unsubscribe.push(
      store.containers.subscribe((now, before) => this.changed(now, before)),
      store.sandboxes.subscribe((now, before) => this.changed(now, before)),
    );
  }

  async close(): Promise<void> {
    for (const end of this.unsubscribe.splice(0)) end();
    const { layers, work, source } = this.parts;
    const measured = layers.close();
    // A walk in progress ends with its thread.
    await work.close();
    await measured;
    await source.close();
  }

  /** Reads the containers that are still running. This needs no Engine call if cgroup files are visible. */
  async ofContainers(
    containers: readonly ContainerRecord[],
    signal?: AbortSignal,
  ): Promise<ContainerUsage[]> {
    const all = await mapLimited(containers, CONCURRENCY, (one) => this.ofContainer(one, signal));
    return all.filter(({ usage }) => usage !== undefined);
  }

  /** Reads one container. If it is not running, the answer has only the last measurement of its writable layer. */
  async ofContainer(container: ContainerRecord, signal?: AbortSignal): Promise<ContainerUsage> {
    const usage = hasProcess(container) ? await this.parts.source.usage(container, signal) : undefined;
    return { container, usage, layer: this.parts.layers.reading(container.id) };
  }

  /** Returns the metrics that cAdvisor would report, for ListPodSandboxMetrics and for scraping. */
  podMetrics(signal?: AbortSignal): Promise<readonly PodMetrics[]> {
    return this.metrics.read(signal);
  }

  async ofPods(sandboxes: readonly SandboxRecord[], signal?: AbortSignal): Promise<PodUsage[]> {
    return mapLimited(sandboxes, CONCURRENCY, (one) => this.ofPod(one, signal));
  }

  async ofPod(sandbox: SandboxRecord, signal?: AbortSignal): Promise<PodUsage> {
    if (!hasProcess(sandbox)) return { sandbox, containers: [] };
    const running = this.parts.store.containers.ofSandbox(sandbox.id).filter(hasProcess);
    const [containers, usage, network, processes] = await Promise.all([
      this.ofContainers(running, signal),
      this.ownUsage(sandbox, signal),
      this.network(sandbox, signal),
      this.processes([sandbox, ...running], signal),
    ]);
    return {
      sandbox,
      containers,
      usage: usage ?? (await this.sum(sandbox, containers, signal)),
      network,
      processes,
    };
  }

  /**
   * Reads the pod's own cgroup. A pod without a cgroup parent has none, because its containers are in the same cgroup as all
   * other containers of the Engine.
   */
  private async ownUsage(
    sandbox: SandboxRecord,
    signal: AbortSignal | undefined,
  ): Promise<UsageReading | undefined> {
    return sandbox.cgroupParent === '' ? undefined : this.parts.source.podUsage(sandbox, signal);
  }

  private async sum(
    sandbox: SandboxRecord,
    containers: readonly ContainerUsage[],
    signal: AbortSignal | undefined,
  ): Promise<UsageReading> {
    const pause = await this.parts.source.usage(sandbox, signal);
    // A sandbox or container that has ended in the meantime is part of the sum already. There must be no await after this
    // check.
    if (!this.isStill(sandbox)) return {};
    const members = new Map(pause === undefined ? [] : [[sandbox.id, pause]]);
    for (const { container, usage } of containers) {
      if (usage !== undefined && this.isStill(container)) members.set(container.id, usage);
    }
    return this.sums.sum(sandbox.id, members);
  }

  /** Whether the record's process is still the current process. */
  private isStill({ kind, id, pid }: SandboxRecord | ContainerRecord): boolean {
    const { containers, sandboxes } = this.parts.store;
    const now = kind === 'sandbox' ? sandboxes.get(id) : containers.get(id);
    return now?.pid === pid && hasProcess(now);
  }

  private async network(
    sandbox: SandboxRecord,
    signal: AbortSignal | undefined,
  ): Promise<NetworkReading | undefined> {
    if (sandbox.namespaces.network === NamespaceMode.NODE) return undefined;
    const interfaces = await this.parts.source.interfaces(sandbox, signal);
    return interfaces && toNetworkReading(interfaces, this.parts.clock.now());
  }

  private async processes(
    members: readonly (SandboxRecord | ContainerRecord)[],
    signal: AbortSignal | undefined,
  ): Promise<PodUsage['processes']> {
    const pids = await mapLimited(members, CONCURRENCY, (one) => this.parts.source.processes(one, signal));
    if (pids.every((some) => some === undefined)) return undefined;
    const count = pids.reduce((sum, some) => sum + (some?.length ?? 0), 0);
    return { timestamp: this.parts.clock.now(), count };
  }

  private changed(
    now: SandboxRecord | ContainerRecord | undefined,
    before: SandboxRecord | ContainerRecord | undefined,
  ): void {
    const { source, layers } = this.parts;
    if (now !== undefined && hasProcess(now)) {
      if (before?.pid === now.pid) return;
      // The container was restarted, so its counters begin again at 0.
      this.sums.end(now.id);
      this.inBackground(source.watch(now));
      if (now.kind === 'sandbox') this.inBackground(this.ownUsage(now, undefined));
      else layers.add({ id: now.id, pid: now.pid });
    } else if (before !== undefined && hasProcess(before)) {
      this.sums.end(before.id);
      layers.end(before.id);
      this.inBackground(source.forget(before.id));
    }
    if (now === undefined && before !== undefined) {
      this.sums.forget(before.id);
      layers.forget(before.id);
    }
  }

  private inBackground(work: Promise<unknown>): void {
    work.catch((error: unknown) =>
      this.parts.logger.debug(
        () => 'Cannot read stats of a container that just started',
        () => ({ error: messageOf(error) }),
      ),
    );
  }
}

/** Separates the default interface from the others, as CRI requires, and omits loopback. */
export function toNetworkReading(all: readonly InterfaceReading[], timestamp: Long): NetworkReading {
  const outside = all.filter(({ name }) => name !== 'lo');
  const defaultInterface = outside.find(({ name }) => name === USUAL_DEFAULT) ?? outside[0];
  return { timestamp, defaultInterface, others: outside.filter((one) => one !== defaultInterface) };
}
