import type { DockerClient } from '../docker/client';
import { hasStatus } from '../docker/errors';
import { withDeadline } from '../lib/async/deadline';
import { messageOf } from '../lib/errors';
import { KeyedLock } from '../lib/async/keyed-lock';
import type { Logger } from '../lib/logger';
import type { ContainerLogs } from '../logs/container-logs';
import type { PodNetwork } from '../network/pod-network';
import type { Checkpoints } from '../network/sandbox-checkpoints';
import type { ContainerRecord, EngineState, SandboxRecord } from '../store/records';
import type { Store } from '../store/store';
import type { KernelLog } from '../node/kernel-log';
import { containerFromInspect } from '../translate/container/container-record';
import type { EngineContainerInspect } from '../engine/types';
import { toEngineState } from '../translate/shared/engine-facts';
import { mergedKernelValues } from '../translate/container/kernel-values';
import { CONTAINER_TYPE, TYPE_LABEL } from '../translate/shared/labels';
import { isSandbox, sandboxFromInspect } from '../translate/sandbox/sandbox-record';
import { keepLog, type LogBehind } from './container-log';
import { UnfinishedSandboxes } from './unfinished-sandboxes';
import type { Upkeep } from './upkeep';

const SIGKILL = 9;
/** Its log is waited for as well; an Engine that is well answers in milliseconds. */
const ENDED_INSPECT_MS = 2_000;

export interface ContainerSyncParts {
  readonly docker: DockerClient;
  readonly store: Store;
  readonly logs: ContainerLogs;
  readonly network: PodNetwork;
  readonly checkpoints: Pick<Checkpoints, 'complete' | 'remove'>;
  readonly logger: Logger;
  /** Whether paths that the Engine names are on this machine. */
  readonly localEngine: boolean;
  /** Undefined where they are not. */
  readonly upkeep?: Upkeep | undefined;
  /** Without it, none that an earlier process left is known. */
  readonly unfinished?: UnfinishedSandboxes;
  /** The log of the machine that the Engine runs on, where that machine is ours. */
  readonly kernelLog?: Pick<KernelLog, 'killedForMemory'> | undefined;
}

/** What has a name in the Engine; without a record when it is not a pod's. */
export interface Discovery {
  readonly exists: boolean;
  readonly record: SandboxRecord | ContainerRecord | undefined;
}

/**
 * Brings what the Engine says of sandboxes and containers into the store. Work on one container never overlaps: all of
 * it runs under `lock` of its id, so a stale inspect cannot overwrite a newer one.
 */
export class ContainerSync {
  readonly lock = new KeyedLock();
  /** Sandboxes that were begun and not finished, and that could not be removed. */
  readonly unfinished: UnfinishedSandboxes;

  /** Containers whose log could not catch up with their state: a later look tries again. */
  readonly logsBehind = new Map<string, LogBehind>();

  constructor(private readonly parts: ContainerSyncParts) {
    this.unfinished = parts.unfinished ?? UnfinishedSandboxes.inMemory(parts.logger);
  }

  /**
   * Inspects and absorbs one container; removes its record when the Engine does not know it.
   * @param id the full id: it is also the lock's key.
   */
  async refresh(id: string, signal?: AbortSignal): Promise<void> {
    await this.lock.run(id, () => this.refreshLocked(id, signal), signal);
  }

  /** The same for a caller that holds the lock. */
  async refreshLocked(id: string, signal?: AbortSignal): Promise<void> {
    await this.look(id, (inspect) => this.absorb(inspect), signal);
  }

  /** The same after a start of ours, whose caller writes the kernel's limits: it can take the start back. */
  async refreshStarted(id: string): Promise<void> {
    await this.look(id, (inspect) => this.absorb(inspect, false));
  }

  /** Whatever the Engine says of the sandbox later, it is not ready: kubelet makes another one and removes this. */
  neverReady(id: string): void {
    this.unfinished.condemn(id);
    const sandbox = this.parts.store.sandboxes.get(id);
    if (sandbox !== undefined) this.parts.store.sandboxes.put({ ...sandbox, networkReady: false });
  }

  isUnfinished(id: string): boolean {
    return this.unfinished.has(id);
  }

  /**
   * After a death, for a caller that holds the lock: what is told first of its end is what a later look would tell.
   * @returns false when the Engine does not answer, or does not say that it has ended.
   */
  async refreshEnded(id: string): Promise<boolean> {
    const { docker, logger } = this.parts;
    try {
      const inspect = await withDeadline('inspect', ENDED_INSPECT_MS, undefined, (signal) =>
        docker.inspectContainer(id, { signal }),
      );
      if (!hasEnded(toEngineState(inspect.State.Status))) return false;
      await this.absorb(inspect);
      return true;
    } catch (error) {
      logger.debug(() => `The end of ${id} cannot be inspected: ${messageOf(error)}`);
      return false;
    }
  }

  private async look(
    id: string,
    absorb: (inspect: EngineContainerInspect) => Promise<unknown>,
    signal?: AbortSignal,
  ): Promise<void> {
    try {
      const inspect = await this.parts.docker.inspectContainer(id, { signal });
      await this.keepDns(inspect);
      await absorb(inspect);
      const sandbox = this.parts.store.sandboxes.get(id);
      if (sandbox !== undefined) await this.parts.checkpoints.complete(sandbox, inspect.HostConfig);
      this.parts.store.listed.delete(id);
    } catch (error) {
      if (!hasStatus(error, 404)) throw error;
      await this.forget(id);
    }
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
   * Inspect → record; the caller holds the lock of its id. A container's CRI log exists when its record says running,
   * and is complete when it says exited.
   * @param keepLimits whether to write limits that a container lacks.
   */
  async absorb(
    inspect: EngineContainerInspect,
    keepLimits = true,
  ): Promise<SandboxRecord | ContainerRecord | undefined> {
    const { store, network } = this.parts;
    // First of all whose it is: of a sandbox's network a handle is kept.
    const sandbox = isSandbox(inspect)
      ? sandboxFromInspect(inspect, await network.stateOf(inspect))
      : undefined;
    if (sandbox !== undefined) {
      // The Engine does not know that its pod is being stopped.
      const stopping = store.sandboxes.get(sandbox.id)?.stopping ?? false;
      const networkReady = sandbox.networkReady && !this.isUnfinished(sandbox.id);
      const known = { ...sandbox, stopping, networkReady };
      store.sandboxes.put(known);
      return known;
    }
    const type = inspect.Config.Labels?.[TYPE_LABEL];
    const container = type === CONTAINER_TYPE ? containerFromInspect(inspect) : undefined;
    if (container === undefined) {
      // Its labels are an image's: what it needs of images is needed all the same.
      store.foreign.put({ id: inspect.Id, engineName: inspect.Name, imageId: inspect.Image });
      return undefined;
    }
    const record = await this.withMemory(container, keepLimits);
    await this.putContainer(record);
    await this.endStray(record);
    return record;
  }

  /** A start whose caller has given up may come after the stop of its pod, which kubelet believes dead by then. */
  private async endStray({ id, state, sandboxId }: ContainerRecord): Promise<void> {
    const { docker, store, logger } = this.parts;
    if (state !== 'running' || store.sandboxes.get(sandboxId)?.stopping !== true) return;
    logger.warn('A container that started in a stopped pod is ended', { container: id, sandbox: sandboxId });
    await docker.stopContainer(id, 0).catch((error: unknown) => {
      logger.error('A container runs on in a stopped pod', { container: id, error: messageOf(error) });
    });
  }

  /** With what only we know of it: values that an update brought, and why the Engine refused to start it. */
  private async withMemory(container: ContainerRecord, keepLimits: boolean): Promise<ContainerRecord> {
    const known = this.parts.store.containers.get(container.id);
    const kernel = mergedKernelValues(container.resources, known?.resources ?? container.resources);
    const record = { ...container, resources: { ...container.resources, ...kernel } };
    if (record.state === 'created' && record.error === '' && known?.state === 'created')
      record.error = known.error;
    if (known?.startedAt.equals(record.startedAt) === true) {
      // An event may have told of this end, with a time of its own: kubelet must not see it change.
      if (hasEnded(known.state) && hasEnded(record.state)) record.finishedAt = known.finishedAt;
      record.oomKilled ||= known.oomKilled;
    }
    const { upkeep } = this.parts;
    if (upkeep === undefined) return record;
    // A run that was begun by others, or by a daemon that did not live to see it: the Engine knows nothing of these.
    const isUnseen = known?.startedAt.equals(record.startedAt) !== true;
    const resources =
      keepLimits && isUnseen ? await upkeep.keepLimits(record) : await upkeep.limitsOf(record);
    return { ...record, resources };
  }

  /** Stores a container once its log has caught up with its state. */
  async putContainer(given: ContainerRecord): Promise<void> {
    const { store } = this.parts;
    const container = { ...given, oomKilled: await this.wasOomKilled(given) };
    const behind = await keepLog(this.parts, container, this.logsBehind.get(container.id));
    if (behind === undefined) this.logsBehind.delete(container.id);
    else this.logsBehind.set(container.id, behind);
    store.containers.put(container);
  }

  /** The Engine misses what happens right after the start; a SIGKILL that it knows no reason for is looked into. */
  private async wasOomKilled({ id, oomKilled, state, exitCode }: ContainerRecord): Promise<boolean> {
    if (oomKilled || state !== 'exited' || exitCode !== 128 + SIGKILL) return oomKilled;
    return (await this.parts.kernelLog?.killedForMemory(id)) ?? false;
  }

  /** The container is gone from the Engine. */
  async forget(id: string): Promise<void> {
    const { store, logs, network, checkpoints, logger } = this.parts;
    store.listed.delete(id);
    this.logsBehind.delete(id);
    void this.unfinished.forget(id);
    store.sandboxes.delete(id);
    network.abandon(id);
    await checkpoints.remove(id);
    if (store.containers.get(id) === undefined) return;
    store.containers.delete(id);
    // Trouble with log positions (full or read-only disk) is no reason to refuse to serve pods.
    await logs.forget(id).catch((error: unknown) => {
      logger.warn("A container's position in its log cannot be forgotten", {
        container: id,
        error: messageOf(error),
      });
    });
  }

  /** Whatever started it, it starts with the Engine's idea of its DNS. Later the file is the pod's own. */
  private async keepDns(inspect: EngineContainerInspect): Promise<void> {
    const known = this.parts.store.sandboxes.get(inspect.Id);
    const isSameRun = known?.pid === inspect.State.Pid;
    if (!isSameRun) await this.parts.upkeep?.keepDns(inspect, known === undefined);
  }
}

function hasEnded(state: EngineState): boolean {
  return state === 'exited' || state === 'dead';
}
