import type { DockerClient } from '../docker/client';
import { hasStatus } from '../docker/errors';
import type { EngineContainerInspect } from '../engine/types';
import { KeyedLock } from '../lib/async/keyed-lock';
import { internal, messageOf } from '../lib/errors';
import type { NetworkKeeper, PodNetwork } from '../network/pod-network';
import type { Checkpoints } from '../network/sandbox-checkpoints';
import type { ContainerRecord, SandboxRecord } from '../store/records';
import type { WritableStore } from '../store/store';
import { Settling, type Occasion, type SettleParts } from './settle';
import { UnfinishedSandboxes } from './unfinished-sandboxes';

export interface LifeParts extends SettleParts {
  readonly docker: DockerClient;
  /** Nothing else gets the writable store, so only `Held` can change records of containers and sandboxes. */
  readonly store: WritableStore;
  readonly network: Pick<PodNetwork, 'stateOf'> & Pick<NetworkKeeper, 'abandon'>;
  readonly checkpoints: Pick<Checkpoints, 'complete' | 'remove'>;
  /** Without it, sandboxes that an earlier process left unfinished are not known. */
  readonly unfinished?: UnfinishedSandboxes;
}

/** What exists in the Engine under a name. It has no record when it does not belong to a pod. */
export interface Discovery {
  readonly exists: boolean;
  readonly record: SandboxRecord | ContainerRecord | undefined;
}

/**
 * What can be done to one container or sandbox while its lock is held. Whoever keeps this object longer than that gets an
 * INTERNAL error from it.
 */
export interface Held {
  readonly id: string;
  /** The record as it is now; undefined for a container, or when the sandbox is not known. */
  readonly sandbox: SandboxRecord | undefined;
  /** The record as it is now; undefined for a sandbox, or when the container is not known. */
  readonly container: ContainerRecord | undefined;
  /** Replaces the record; ignored for an id that was removed. */
  put(record: SandboxRecord | ContainerRecord): void;
  /** Asks the Engine and changes nothing. */
  inspect(signal?: AbortSignal): Promise<EngineContainerInspect>;
  /** Makes the record from an inspect, after everything that has to come before it (settle.ts). */
  settle(
    inspect: EngineContainerInspect,
    occasion?: Occasion,
  ): Promise<SandboxRecord | ContainerRecord | undefined>;
  /** The same for a container whose record was not made from an inspect. */
  settleRecord(record: ContainerRecord): Promise<void>;
  /** Inspects and settles; forgets what the Engine does not know. */
  refresh(signal?: AbortSignal, occasion?: Occasion): Promise<void>;
  /** The container is gone from the Engine: so are its record, its log position, its network and its checkpoint. */
  forget(): Promise<void>;
}

/**
 * The life of containers and sandboxes. The record of one of them changes only under the lock of its id, so that a slow
 * inspect cannot overwrite what came after it. `withContainer` is the only way to take that lock and change a record.
 */
export class ContainerLife {
  /** Sandboxes that were begun, not finished, and could not be removed. */
  readonly unfinished: UnfinishedSandboxes;
  private readonly lock = new KeyedLock();
  private readonly settling: Settling;

  constructor(private readonly parts: LifeParts) {
    this.unfinished = parts.unfinished ?? UnfinishedSandboxes.inMemory(parts.logger);
    this.settling = new Settling(parts);
  }

  /**
   * Runs `work` while it holds the container or sandbox, first come first served.
   * @param id the full id.
   * @param signal gives up the wait for the lock, not the work.
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

  /** Inspects one container and settles it; forgets it when the Engine does not know it. */
  refresh(id: string, signal?: AbortSignal): Promise<void> {
    return this.withContainer(id, signal, (held) => held.refresh(signal));
  }

  /** Finds a container that exists in the Engine but may not be known to us. */
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
   * From now on nothing is created or started in the sandbox, even if the call that stops it fails. This does not wait for
   * the lock: the mark is never taken back, and every later record of the sandbox keeps it.
   */
  markStopping(sandboxId: string): void {
    const { sandboxes } = this.parts.store;
    const sandbox = sandboxes.get(sandboxId);
    if (sandbox !== undefined && !sandbox.stopping) sandboxes.put({ ...sandbox, stopping: true });
  }

  /**
   * The sandbox is not ready, whatever the Engine says of it later: kubelet makes another one and removes this one. Like
   * `markStopping` this does not wait for the lock.
   */
  markNeverReady(sandboxId: string): void {
    this.unfinished.condemn(sandboxId);
    const { sandboxes } = this.parts.store;
    const sandbox = sandboxes.get(sandboxId);
    if (sandbox !== undefined) sandboxes.put({ ...sandbox, networkReady: false });
  }

  /** Whether the container's log could not catch up with its state. A later look tries again. */
  isLogBehind(id: string): boolean {
    return this.settling.logsBehind.has(id);
  }

  get logsBehind(): Iterable<string> {
    return this.settling.logsBehind.keys();
  }

  /**
   * For a new connection to the Engine, before its first list: an Engine that had lost containers, because its disk was not
   * mounted, may have them again.
   */
  forgetRemovals(): void {
    const { sandboxes, containers, foreign } = this.parts.store;
    for (const table of [sandboxes, containers, foreign]) table.forgetRemovals();
  }

  /** From now on, limits that somebody takes away from a running container are written again. */
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
    // It does not belong to a pod, whatever its labels say, but the image that it uses must still be kept.
    if (record === undefined)
      store.foreign.put({ id: inspect.Id, engineName: inspect.Name, imageId: inspect.Image });
    // A record made from a list is not complete before the resync has added to it.
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
    // Also without a record: a create call that is still on its way must not make one afterwards.
    const known = store.containers.get(id);
    store.containers.delete(id);
    if (known === undefined) return;
    // A full or read-only disk is no reason to refuse to serve pods.
    await logs.forget(id).catch((error: unknown) => {
      logger.warn('Cannot remove the log position of a container', {
        container: id,
        error: messageOf(error),
      });
    });
  }

  /** The Engine does not know that the pod is being stopped, nor that we never finished the sandbox. */
  private withMarks(sandbox: SandboxRecord): SandboxRecord {
    return {
      ...sandbox,
      stopping: sandbox.stopping || this.sandbox?.stopping === true,
      networkReady: sandbox.networkReady && !this.unfinished.has(sandbox.id),
    };
  }

  private requireLock(id = this.id): void {
    if (this.isReleased) throw internal(`the lock of container ${this.id} is not held any more`);
    if (id !== this.id) throw internal(`the lock of container ${this.id} does not cover ${id}`);
  }
}
