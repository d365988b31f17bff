import type { DockerClient } from '../docker/client';
import { hasStatus } from '../docker/errors';
import { drawLimited, forEachLimited } from '../lib/async/concurrency';
import { withDeadline } from '../lib/async/deadline';
import { isInContainer } from '../node/cgroup';
import { hasCode, messageOf, unavailable } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { ContainerLogs } from '../logs/container-logs';
import type { NetworkKeeper } from '../network/pod-network';
import type { SandboxCheckpoints } from '../network/sandbox-checkpoints';
import type { NameReservations } from '../store/name-reservations';
import type { Records } from '../store/record-table';
import type { ContainerRecord, SandboxRecord } from '../store/records';
import { isRunning } from '../store/states';
import type { Store } from '../store/store';
import type { EngineContainerSummary } from '../engine/types';
import { toEngineState } from '../translate/shared/engine-facts';
import { SANDBOX_ID_LABEL, SANDBOX_TYPE, TYPE_LABEL } from '../translate/shared/labels';
import { withoutSlash } from '../translate/shared/names';
import { inspectFromSummary, listedFromSummary } from '../translate/container/container-record';
import type { ForeignContainers } from './foreign';
import type { ContainerLife } from './life';

/**
 * How many inspects run at once. If each takes seconds, 40 are enough to be quick, and few enough to leave room for other
 * calls in the lane.
 */
const CONCURRENCY = 40;
/**
 * Limit of one inspect. A healthy Engine inspects in milliseconds, and a container whose inspect hangs must not delay the
 * others.
 */
const INSPECT_MS = 5_000;
/**
 * How long the list may take, in ms: the first limit, and the longest one after several lists that timed out. An Engine
 * with hundreds of containers on a busy disk needs a while, and the node is not served before the first list.
 */
const LIST_MS = { first: 10_000, longest: 115_000 };

/**
 * How long a doubtful container is left alone, in ms: after the first failure, after the second, and so on. The Engine does
 * not notice that dockbridge has given up an inspect, so each inspect that hangs stays in the Engine.
 */
const PATIENCE_MS = [0, 0, 30_000, 60_000, 300_000];

interface Doubt {
  readonly failures: number;
  readonly askAgainAt: number;
}

export interface ContainerResyncParts {
  readonly docker: DockerClient;
  readonly store: Store;
  readonly life: ContainerLife;
  readonly foreignContainers: Pick<ForeignContainers, 'keepListed'>;
  readonly logs: Pick<ContainerLogs, 'retain' | 'trouble'>;
  readonly network: Omit<NetworkKeeper, 'setPodCidr' | 'detach' | 'letGo' | 'close'>;
  readonly checkpoints: Pick<SandboxCheckpoints, 'sandboxes' | 'removeOrphan'>;
  readonly reservations: NameReservations;
  readonly logger: Logger;
  /** Whether the pids that the Engine reports belong to this machine. */
  readonly localEngine?: boolean;
  /** Called once, before the first resync ends. */
  readonly onFirstList?: (() => void) | undefined;
  /** Called with all containers of the Engine, before each resync ends. */
  readonly onList?: ((all: readonly EngineContainerSummary[]) => void) | undefined;
  readonly overrides?: ResyncOverrides | undefined;
}

/** Replaces the usual limits in tests. All times are in ms. */
export interface ResyncOverrides {
  /** Limit of one inspect. */
  readonly inspectMs?: number;
  readonly listMs?: typeof LIST_MS;
}

/** Makes the store equal to the Engine's list of containers, whatever events were missed. */
export class ContainerResync {
  private hasRun = false;
  /**
   * Containers whose last inspect or event failed. They are inspected until an inspect succeeds, even if the list agrees
   * with their records.
   */
  private readonly doubtful = new Map<string, Doubt>();
  private readonly listMs: typeof LIST_MS;
  private listPatienceMs: number;
  private readonly inspectMs: number;

  constructor(private readonly parts: ContainerResyncParts) {
    const { inspectMs = INSPECT_MS, listMs = LIST_MS } = parts.overrides ?? {};
    this.listMs = listMs;
    this.listPatienceMs = this.listMs.first;
    this.inspectMs = inspectMs;
  }

  /**
   * Compares a new list with the store. A record that changed after the list was requested may be missing from the list, so
   * its absence is ignored.
   * @param inspectAll true after a reconnect. Otherwise, of the listed containers, only doubtful ones and those whose state
   * or name differs from the record are inspected.
   * @param onListed called as soon as `store.listed` contains all containers that the store does not know yet.
   */
  async run(inspectAll: boolean, signal: AbortSignal, onListed: () => void = () => undefined): Promise<void> {
    const { store, life, network, reservations, onFirstList, onList } = this.parts;
    if (inspectAll) life.forgetRemovals();
    const revisions = {
      sandboxes: store.sandboxes.now,
      containers: store.containers.now,
      foreign: store.foreign.now,
    };
    const before = this.knownSandboxes();
    const unfinished = life.unfinished.ids;
    if (!this.hasRun) store.listed.expect();
    const all = await this.list(signal);
    const summaries = all.filter(({ Labels }) => Labels?.[TYPE_LABEL] !== undefined);
    // An Engine that lost its data may have new containers since then, so only containers that were known before count.
    const isKnown = ({ Id, Labels }: EngineContainerSummary): boolean =>
      before.has(Id) || before.has(Labels?.[SANDBOX_ID_LABEL] ?? '');
    if (!summaries.some(isKnown)) await this.refuseEmptyEngine(before);
    this.parts.foreignContainers.keepListed(all, revisions.foreign);
    const listed = new Set(summaries.map((summary) => summary.Id));
    const due = summaries.filter(
      (summary) => !reservations.isHeld(engineName(summary)) && (inspectAll || this.differs(summary)),
    );
    if (!this.hasRun)
      store.listed.replace(due.filter((summary) => this.isNew(summary)).map(listedFromSummary));
    onListed();
    await drawLimited(this.inTurn(due), Math.min(CONCURRENCY, due.length), (summary) =>
      this.refreshListed(summary, signal),
    );
    // All listed containers were inspected or settled. An entry that remained in `listed` would make ListContainers wait.
    store.listed.close();
    await this.refreshUnlisted(store.sandboxes, listed, revisions.sandboxes, signal);
    await this.refreshUnlisted(store.containers, listed, revisions.containers, signal);
    for (const id of unfinished) if (!listed.has(id)) void life.unfinished.forget(id);
    await this.freeVanished(listed, signal);
    if (!this.hasRun) {
      network.collectGarbage(new Set([...listed, ...(await network.livingSandboxes())]));
      onFirstList?.();
    }
    this.hasRun = true;
    onList?.(all);
    if (inspectAll) await this.retainLogs();
  }

  /**
   * Inspects the containers that the list lacks. The list alone is weak evidence that a container is gone, so a 404
   * decides.
   */
  private async refreshUnlisted(
    table: Records<SandboxRecord | ContainerRecord>,
    listed: ReadonlySet<string>,
    revision: number,
    signal: AbortSignal,
  ): Promise<void> {
    const gone = [...table.values()].filter(({ id }) => !listed.has(id) && !table.isNewerThan(id, revision));
    await forEachLimited(gone, CONCURRENCY, async ({ id }) => {
      await this.tryRefresh(id, signal);
    });
  }

  private async retainLogs(): Promise<void> {
    const { store, logs, logger } = this.parts;
    const known = new Set([...store.containers.values()].map(({ id }) => id));
    // A full or read-only disk must not keep dockbridge from serving the node.
    await logs.retain(known).catch((error: unknown) => {
      if (logs.trouble?.reason === 'LogsWithoutThread') return;
      logger.warn('Cannot remove old log positions', { error: messageOf(error) });
    });
  }

  /**
   * Lists all containers. After a timeout, the next list has a longer limit, so that an Engine that needs a long time for
   * its list is still served in the end.
   */
  private async list(signal: AbortSignal): Promise<EngineContainerSummary[]> {
    const { docker } = this.parts;
    try {
      const all = await withDeadline('The list of containers', this.listPatienceMs, signal, (limit) =>
        docker.listContainers({}, { signal: limit }),
      );
      this.listPatienceMs = this.listMs.first;
      return all;
    } catch (error) {
      if (hasCode(error, 'DEADLINE_EXCEEDED'))
        this.listPatienceMs = Math.min(2 * this.listPatienceMs, this.listMs.longest);
      throw error;
    }
  }

  /** Whether the store lacks the container, and it was not removed since the list was requested. */
  private isNew({ Id: id }: EngineContainerSummary): boolean {
    const { sandboxes, containers } = this.parts.store;
    return [sandboxes, containers].every((table) => table.get(id) === undefined && !table.wasRemoved(id));
  }

  /**
   * Yields the containers in the order of their inspects: first those for which a caller waits, then those that cannot be
   * listed before their inspect, then the rest.
   */
  private *inTurn(due: readonly EngineContainerSummary[]): Generator<EngineContainerSummary> {
    const { listed } = this.parts.store;
    const told = new Set([...listed.records()].map(({ id }) => id));
    const urgency = ({ Id, Labels }: EngineContainerSummary): number =>
      told.has(Id) ? 2 : Number(Labels?.[TYPE_LABEL] === SANDBOX_TYPE);
    const sorted = [...due].sort((one, other) => urgency(one) - urgency(other));
    const left = new Map(sorted.map((summary) => [summary.Id, summary]));
    const wasListed = new Set(due.filter(({ Id }) => listed.has(Id)).map(({ Id }) => Id));
    while (left.size > 0) {
      const [first] = left.keys();
      const id = listed.takeWanted() ?? first ?? '';
      const summary = left.get(id);
      left.delete(id);
      // The container may have been inspected already because of an event.
      if (summary !== undefined && (!wasListed.has(id) || listed.has(id))) yield summary;
    }
  }

  /** Returns the sandboxes that are running or hold a network, each with its pid, or 0 for one without a record. */
  private knownSandboxes(): ReadonlyMap<string, number> {
    const running = [...this.parts.store.sandboxes.values()].filter(isRunning);
    return new Map([
      ...this.parts.network.heldSandboxes().map((id) => [id, 0] as const),
      ...running.map(({ id, pid }) => [id, pid] as const),
    ]);
  }

  /**
   * Refuses the list of an Engine that was started without its data, for instance because a mount is missing. Such an
   * Engine lists no pod while the earlier pods keep running. If dockbridge believed the list, it would take away their
   * networks, and kubelet would start the pods once more.
   * @throws UNAVAILABLE while processes of earlier sandboxes are running.
   */
  private async refuseEmptyEngine(before: ReadonlyMap<string, number>): Promise<void> {
    if (before.size === 0) return;
    const { network, store, localEngine = false } = this.parts;
    const living = new Set([...(await network.livingSandboxes())].filter((id) => before.has(id)));
    if (localEngine)
      for (const [id, pid] of before) if (pid > 0 && (await isInContainer(pid, id))) living.add(id);
    if (living.size === 0) return;
    throw unavailable(
      `Docker Engine reports none of the earlier pods, but the processes of ${living.size} are still running: is its data (${store.engine?.rootDir ?? 'data-root'}) mounted? dockbridge leaves their networks alone until the Engine reports them or they have ended`,
    );
  }

  /** Notes a container about which dockbridge may have missed something. */
  doubt(id: string): void {
    const failures = (this.doubtful.get(id)?.failures ?? 0) + 1;
    const patience = PATIENCE_MS[Math.min(failures, PATIENCE_MS.length) - 1] ?? 0;
    this.doubtful.set(id, { failures, askAgainAt: performance.now() + patience });
  }

  /**
   * Repeats inspects of doubtful containers and of containers whose logs are behind: soon at first, then at growing
   * intervals.
   */
  async retryDoubtful(signal: AbortSignal): Promise<void> {
    for (const id of this.parts.life.logsBehind) if (!this.doubtful.has(id)) this.doubt(id);
    const due = [...this.doubtful.keys()].filter((id) => this.isDue(id));
    await forEachLimited(due, CONCURRENCY, async (id) => {
      await this.tryRefresh(id, signal);
    });
  }

  /**
   * Frees the networks and checkpoints of sandboxes that vanished unnoticed. The list also lacks a sandbox that is being
   * created, so an inspect decides.
   */
  private async freeVanished(listed: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
    const { docker, network, checkpoints } = this.parts;
    const held = new Set([...network.heldSandboxes(), ...(await checkpoints.sandboxes())]);
    const unlisted = [...held].filter((id) => !listed.has(id));
    await forEachLimited(unlisted, CONCURRENCY, async (id) => {
      try {
        await withDeadline('inspect', this.inspectMs, signal, (limit) =>
          docker.inspectContainer(id, { signal: limit }),
        );
      } catch (error) {
        signal.throwIfAborted();
        if (hasCode(error, 'UNAVAILABLE')) throw error;
        // Only a 404 proves that the sandbox is gone. After any other error its network and checkpoint stay, and the next
        // comparison tries again.
        if (!hasStatus(error, 404)) return;
        network.abandon(id);
        await checkpoints.removeOrphan(id);
      }
    });
  }

  /**
   * Inspects a listed container. If the inspect fails and the store does not know the container, the list's values are
   * used, because one such container must not keep dockbridge from serving the node (k8s #94829).
   */
  private async refreshListed(summary: EngineContainerSummary, signal: AbortSignal): Promise<void> {
    const { store } = this.parts;
    const id = summary.Id;
    const isKnown =
      (await this.tryRefresh(id, signal)) ||
      (store.sandboxes.get(id) ?? store.containers.get(id)) !== undefined;
    if (!isKnown) await this.settleListed(summary, signal);
    store.listed.delete(id);
  }

  private async settleListed(summary: EngineContainerSummary, signal: AbortSignal): Promise<void> {
    const { life, network } = this.parts;
    await life.withContainer(summary.Id, signal, async (held) => {
      await held.settle(inspectFromSummary(summary), 'listed');
      const { sandbox } = held;
      // The list does not show whether the network is ready. The network is assumed to be ready, because kubelet would replace
      // a pod that is not ready.
      if (sandbox === undefined || !isRunning(sandbox) || life.unfinished.has(sandbox.id)) return;
      const ips = sandbox.ips.length > 0 ? sandbox.ips : network.rememberedIps(sandbox.id);
      held.put({ ...sandbox, networkReady: true, ips });
    });
  }

  /**
   * Inspects a container and settles it.
   * @returns false when the inspect failed. The failure is logged, and the container becomes doubtful.
   */
  private async tryRefresh(id: string, signal: AbortSignal): Promise<boolean> {
    const { life, logger } = this.parts;
    try {
      await withDeadline('inspect', this.inspectMs, signal, (limit) => life.refresh(id, limit));
      if (life.isLogBehind(id)) this.doubt(id);
      else this.doubtful.delete(id);
      return true;
    } catch (error) {
      signal.throwIfAborted();
      // An Engine that does not answer is going down. The next connection begins a new resync.
      if (hasCode(error, 'UNAVAILABLE')) throw error;
      if (!this.doubtful.has(id)) {
        logger.error('Cannot inspect a container; its status may be out of date', {
          container: id,
          error: messageOf(error),
        });
      }
      this.doubt(id);
      return false;
    }
  }

  private isDue(id: string): boolean {
    return performance.now() >= (this.doubtful.get(id)?.askAgainAt ?? 0);
  }

  private differs(summary: EngineContainerSummary): boolean {
    const { store } = this.parts;
    const known = store.sandboxes.get(summary.Id) ?? store.containers.get(summary.Id);
    if (this.doubtful.has(summary.Id)) return this.isDue(summary.Id);
    if (known === undefined) return store.foreign.get(summary.Id) === undefined;
    return known.state !== toEngineState(summary.State) || known.engineName !== engineName(summary);
  }
}

function engineName(summary: EngineContainerSummary): string {
  return withoutSlash(summary.Names[0] ?? '');
}
