import type { DockerClient } from '../docker/client';
import { hasStatus } from '../docker/errors';
import type { EngineContainerInspect } from '../engine/types';
import { KeyedLock } from '../lib/async/keyed-lock';
import { internal, messageOf } from '../lib/errors';
import type { NetworkKeeper, PodNetwork } from '../network/pod-network';
import type { Checkpoints } from '../network/sandbox-checkpoints';
import type { ContainerRecord, SandboxRecord } from '../store/records';
import type { WritableStore } from '../store/store';
import { withoutSlash } from '../translate/shared/names';
import { Settling, type Occasion, type SettleParts } from './settle';
import { UnfinishedSandboxes } from './unfinished-sandboxes';

export interface LifeParts extends SettleParts {
  readonly docker: DockerClient;
  /** The writable store. Other files get it as a `Store`, so only this file can change records of containers and sandboxes. */
  readonly store: WritableStore;
  readonly network: Pick<PodNetwork, 'stateOf'> & Pick<NetworkKeeper, 'abandon'>;
  readonly checkpoints: Pick<Checkpoints, 'complete' | 'remove'>;
  /** Without it, the sandboxes that an earlier process left unfinished are not known. */
  readonly unfinished?: UnfinishedSandboxes;
}

/** What exists in the Engine under a name. `record` is undefined for a container that does not belong to a pod. */
export interface Discovery {
  readonly exists: boolean;
  readonly record: SandboxRecord | ContainerRecord | undefined;
}

/**
 * The operations on one container or sandbox while its lock is held. After the lock is released, every use of this object
 * throws an INTERNAL error.
 */
export interface Held {
  readonly id: string;
  /** The current record; undefined for a container, or when the sandbox is not known. */
  readonly sandbox: SandboxRecord | undefined;
  /** The current record; undefined for a sandbox, or when the container is not known. */
  readonly container: ContainerRecord | undefined;
  /** Replaces the record. Ignored for an id that was removed. */
  put(record: SandboxRecord | ContainerRecord): void;
  /** Inspects the container in the Engine and changes nothing. */
  inspect(signal?: AbortSignal): Promise<EngineContainerInspect>;
  /** Makes the record from an inspect, after the work that must be done before readers see the record (settle.ts). */
  settle(
    inspect: EngineContainerInspect,
    occasion?: Occasion,
  ): Promise<SandboxRecord | ContainerRecord | undefined>;
  /** Settles a record that does not come from an inspect. */
  settleRecord(record: ContainerRecord): Promise<void>;
  /** Inspects and settles, or calls `forget` when the Engine does not know the container. */
  refresh(signal?: AbortSignal, occasion?: Occasion): Promise<void>;
  /** Removes the record, log position, network and checkpoint of a container that is gone from the Engine. */
  forget(): Promise<void>;
}

/**
 * The life of containers and sandboxes. A record changes only under the lock of its id, so that a slow inspect cannot
 * overwrite a later change. `withContainer` takes this lock. Only `markStopping` and `markNeverReady` do not need it,
 * because every later record keeps their marks.
 */
export class ContainerLife {
  /** Sandboxes whose creation began but was not finished, and which could not be removed. */
  readonly unfinished: UnfinishedSandboxes;
  private readonly lock = new KeyedLock();
  private readonly settling: Settling;

  constructor(private readonly parts: LifeParts) {
    this.unfinished = parts.unfinished ?? UnfinishedSandboxes.inMemory(parts.logger);
    this.settling = new Settling(parts);
  }

  /**
   * Runs `work` while it holds the lock of a container or sandbox. Waiting calls run in the order of their arrival.
   * @param id the full id.
   * @param signal ends the wait for the lock, not the work.
   */
  withContainer<T>(
    id: string,
    signal: AbortSignal | undefined,
    work: (held: Held) => Promise<T>,
  ): Promise<T> {
    return this.lock.run(
      id,
      async () => {
        const held = new HeldContainer(id, this.parts, this.settling, this.unfinished);
        try {
          return await work(held);
        } finally {
          held.release();
        }
      },
      signal,
    );
  }

  /** Inspects one container and settles it, or forgets it when the Engine does not know it. */
  refresh(id: string, signal?: AbortSignal): Promise<void> {
    return this.withContainer(id, signal, (held) => held.refresh(signal));
  }

  /** Finds a container that exists in the Engine but may be unknown to the store. */
  async discover(name: string, signal?: AbortSignal): Promise<Discovery> {
    const { docker, store } = this.parts;
    try {
      const { Id: id } = await docker.inspectContainer(name, { signal });
      await this.refresh(id, signal);
      const record = store.sandboxes.get(id) ?? store.containers.get(id);
      return { exists: record !== undefined || store.foreign.get(id) !== undefined, record };
    } catch (error) {
      if (hasStatus(error, 404)) return { exists: false, record: undefined };
      throw error;
    }
  }

  /**
   * Marks a sandbox so that from now on nothing is created or started in it, even if the call that stops it fails. This
   * does not wait for the lock, because the mark is never removed and every later record of the sandbox keeps it.
   */
  markStopping(sandboxId: string): void {
    const { sandboxes } = this.parts.store;
    const sandbox = sandboxes.get(sandboxId);
    if (sandbox !== undefined && !sandbox.stopping) sandboxes.put({ ...sandbox, stopping: true });
  }

  /**
   * Marks a sandbox as not ready, even if the Engine later reports it as running, so that kubelet creates another sandbox and
   * removes this one. Like `markStopping`, this does not wait for the lock.
   */
  markNeverReady(sandboxId: string): void {
    this.unfinished.condemn(sandboxId);
    const { sandboxes } = this.parts.store;
    const sandbox = sandboxes.get(sandboxId);
    if (sandbox !== undefined) sandboxes.put({ ...sandbox, networkReady: false });
  }

  /** Whether the container's log could not catch up with its state. A later check tries again. */
  isLogBehind(id: string): boolean {
    return this.settling.logsBehind.has(id);
  }

  get logsBehind(): Iterable<string> {
    return this.settling.logsBehind.keys();
  }

  /**
   * Forgets which ids were removed. Called for a new connection to the Engine before its first list, because an Engine
   * that had lost containers while its disk was not mounted may have them again.
   */
  forgetRemovals(): void {
    const { sandboxes, containers, foreign } = this.parts.store;
    for (const table of [sandboxes, containers, foreign]) table.forgetRemovals();
  }

  /**
   * Begins to watch the limits of running containers. From now on, limits that another program resets are written again.
   */
  watchLimits(): void {
    this.parts.upkeep?.watchLimits(this.parts.store, (id, work) =>
      this.withContainer(id, undefined, (held) => work(() => held.refresh())),
    );
  }
}

class HeldContainer implements Held {
  private isReleased = false;

  constructor(
    readonly id: string,
    private readonly parts: LifeParts,
    private readonly settling: Settling,
    private readonly unfinished: UnfinishedSandboxes,
  ) {}

  release(): void {
    this.isReleased = true;
  }

  get sandbox(): SandboxRecord | undefined {
    this.requireLock();
    return this.parts.store.sandboxes.get(this.id);
  }

  get container(): ContainerRecord | undefined {
    this.requireLock();
    return this.parts.store.containers.get(this.id);
  }

  put(record: SandboxRecord | ContainerRecord): void {
    this.requireLock(record.id);
    const { sandboxes, containers } = this.parts.store;
    if (record.kind === 'container') containers.put(record);
    else sandboxes.put(this.withMarks(record));
  }

  inspect(signal?: AbortSignal): Promise<EngineContainerInspect> {
    this.requireLock();
    return this.parts.docker.inspectContainer(this.id, { signal });
  }

  async settle(
    inspect: EngineContainerInspect,
    occasion: Occasion = 'found',
  ): Promise<SandboxRecord | ContainerRecord | undefined> {
    this.requireLock(inspect.Id);
    const { store } = this.parts;
    const record = await this.settling.settle(inspect, occasion, (made) => this.put(made));
    // Whatever its labels say, the container does not belong to a pod. It becomes a foreign record, because its image
    // must be kept.
    if (record === undefined)
      store.foreign.put({
        id: inspect.Id,
        engineName: withoutSlash(inspect.Name),
        imageId: inspect.Image,
      });
    // A record that was made from a list stays incomplete until the resync has inspected its container.
    if (occasion !== 'listed') store.listed.delete(this.id);
    return record;
  }

  async settleRecord(record: ContainerRecord): Promise<void> {
    this.requireLock(record.id);
    await this.settling.settleRecord(record, (made) => this.put(made));
  }

  async refresh(signal?: AbortSignal, occasion: Occasion = 'found'): Promise<void> {
    let inspect: EngineContainerInspect;
    try {
      inspect = await this.inspect(signal);
    } catch (error) {
      if (!hasStatus(error, 404)) throw error;
      await this.forget();
      return;
    }
    await this.settle(inspect, occasion);
  }

  async forget(): Promise<void> {
    this.requireLock();
    const { id } = this;
    const { store, logs, network, checkpoints, logger } = this.parts;
    store.listed.delete(id);
    this.settling.logsBehind.delete(id);
    void this.unfinished.forget(id);
    store.sandboxes.delete(id);
    network.abandon(id);
    await checkpoints.remove(id);
    // The id is deleted even if it has no record, so that a create call that is still under way cannot add a record
    // later.
    const known = store.containers.get(id);
    store.containers.delete(id);
    if (known === undefined) return;
    // A full or read-only disk is no reason to stop serving pods.
    await logs.forget(id).catch((error: unknown) => {
      logger.warn('Cannot remove the log position of a container', {
        container: id,
        error: messageOf(error),
      });
    });
  }

  /** Adds what the Engine does not know: that the pod is being stopped, and that the sandbox was never finished. */
  private withMarks(sandbox: SandboxRecord): SandboxRecord {
    return {
      ...sandbox,
      stopping: sandbox.stopping || this.sandbox?.stopping === true,
      networkReady: sandbox.networkReady && !this.unfinished.has(sandbox.id),
    };
  }

  private requireLock(id = this.id): void {
    if (this.isReleased) throw internal(`the lock of container ${this.id} is no longer held`);
    if (id !== this.id) throw internal(`the lock of container ${this.id} does not cover ${id}`);
  }
}
