import type { DockerClient } from '../docker/client';
import type { EngineContainerInspect } from '../engine/types';
import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { ContainerLogs } from '../logs/container-logs';
import type { PodNetwork } from '../network/pod-network';
import type { Checkpoints } from '../network/sandbox-checkpoints';
import type { KernelLog } from '../node/kernel-log';
import type { ContainerRecord, SandboxRecord } from '../store/records';
import { hasEnded, isCreated, isRunning } from '../store/states';
import type { Store } from '../store/store';
import { containerFromInspect } from '../translate/container/container-record';
import { mergedKernelValues } from '../translate/container/kernel-values';
import { isSandbox, sandboxFromInspect } from '../translate/sandbox/sandbox-record';
import { CONTAINER_TYPE, TYPE_LABEL } from '../translate/shared/labels';
import { keepLog, type LogBehind } from './container-log';
import type { Upkeep } from './upkeep';

const SIGKILL = 9;

/**
 * Why a container is settled.
 * - `found`: another client or an earlier daemon may have started the container and left work undone, so DNS, limits and
 * checkpoint are completed.
 * - `started`: a handler has just started the container. The handler does this work itself, because it can still undo the
 * start.
 * - `listed`: only the Engine's list is available, which contains too little for this work.
 */
export type Occasion = 'found' | 'started' | 'listed';

export interface SettleParts {
  readonly docker: Pick<DockerClient, 'killContainer'>;
  readonly store: Store;
  readonly logs: ContainerLogs;
  readonly network: Pick<PodNetwork, 'stateOf'>;
  readonly checkpoints: Pick<Checkpoints, 'complete'>;
  readonly logger: Logger;
  /** Whether the paths that the Engine reports are on this machine. */
  readonly localEngine: boolean;
  /** Undefined when these paths are not on this machine. */
  readonly upkeep?: Upkeep | undefined;
  /** The kernel log of the Engine's machine; undefined when the Engine is remote. */
  readonly kernelLog?: Pick<KernelLog, 'killedForMemory'> | undefined;
}

/** Stores a record. Only the holder of the container's lock has such a function. */
type Put = (record: SandboxRecord | ContainerRecord) => void;

/**
 * Everything that has to be done between an inspect and the record that readers see. The caller holds the container's
 * lock.
 */
export class Settling {
  /** Containers whose log could not catch up with their state. A later check tries again. */
  readonly logsBehind = new Map<string, LogBehind>();

  constructor(private readonly parts: SettleParts) {}

  /**
   * Makes and stores a record.
   * @returns undefined for a container that does not belong to a pod, which gets no record here.
   */
  async settle(
    inspect: EngineContainerInspect,
    occasion: Occasion,
    put: Put,
  ): Promise<SandboxRecord | ContainerRecord | undefined> {
    // An image can have the labels of a sandbox, so isSandbox checks more than labels before a network is touched.
    if (isSandbox(inspect)) return this.settleSandbox(inspect, occasion, put);
    if (inspect.Config.Labels?.[TYPE_LABEL] !== CONTAINER_TYPE) return undefined;
    const container = containerFromInspect(inspect);
    return container && this.settleContainer(container, occasion, put);
  }

  /** Settles a sandbox in this order: DNS, network, record, checkpoint. */
  private async settleSandbox(
    inspect: EngineContainerInspect,
    occasion: Occasion,
    put: Put,
  ): Promise<SandboxRecord | undefined> {
    const { store, network, checkpoints } = this.parts;
    if (occasion === 'found') await this.keepDns(inspect);
    const sandbox = sandboxFromInspect(inspect, await network.stateOf(inspect));
    if (sandbox === undefined) return undefined;
    put(sandbox);
    // There is no record if the sandbox was removed during this inspect.
    const record = store.sandboxes.get(sandbox.id);
    if (occasion === 'found' && record !== undefined) await checkpoints.complete(record, inspect.HostConfig);
    return sandbox;
  }

  /** Settles a container in this order: limits, OOM kill, log, record. Last, it kills a container that should not run. */
  private async settleContainer(
    inspected: ContainerRecord,
    occasion: Occasion,
    put: Put,
  ): Promise<ContainerRecord> {
    const remembered = this.withWhatOnlyWeKnow(inspected);
    const limited = await this.withLimits(remembered, occasion);
    return this.settleRecord(limited, put);
  }

  /**
   * Does the last steps, which are also needed for a record that does not come from an inspect. A container's CRI log
   * exists before its record says running, and is complete before its record says exited.
   */
  async settleRecord(given: ContainerRecord, put: Put): Promise<ContainerRecord> {
    const record = { ...given, oomKilled: await this.wasOomKilled(given) };
    await this.catchUpLog(record);
    put(record);
    await this.endStray(record);
    return record;
  }

  /**
   * Corrects the DNS of a sandbox once after each start, because each start gives the sandbox the Engine's DNS. Later the file
   * belongs to the pod.
   */
  private async keepDns(inspect: EngineContainerInspect): Promise<void> {
    const known = this.parts.store.sandboxes.get(inspect.Id);
    const isSameRun = known?.pid === inspect.State.Pid;
    if (!isSameRun) await this.parts.upkeep?.keepDns(inspect, known === undefined);
  }

  /** Adds what only the former record knows: values from an update, and the reason why the Engine refused a start. */
  private withWhatOnlyWeKnow(container: ContainerRecord): ContainerRecord {
    const known = this.parts.store.containers.get(container.id);
    const kernel = mergedKernelValues(container.resources, known?.resources ?? container.resources);
    const record = { ...container, resources: { ...container.resources, ...kernel } };
    if (isCreated(record) && record.error === '' && known !== undefined && isCreated(known))
      record.error = known.error;
    if (known?.startedAt.equals(record.startedAt) === true) {
      // The end may already be recorded with the time of an event. kubelet must not see this time change.
      if (hasEnded(known) && hasEnded(record)) record.finishedAt = known.finishedAt;
      record.oomKilled ||= known.oomKilled;
    }
    return record;
  }

  /**
   * Adds the limits that the Engine does not manage. They are missing when another client, or a daemon that was then
   * killed, started the container, so they are written again in that case.
   */
  private async withLimits(record: ContainerRecord, occasion: Occasion): Promise<ContainerRecord> {
    const { upkeep, store } = this.parts;
    if (upkeep === undefined) return record;
    const isNewRun = store.containers.get(record.id)?.startedAt.equals(record.startedAt) !== true;
    const mayLackLimits = occasion !== 'started' && isNewRun;
    const resources = mayLackLimits ? await upkeep.keepLimits(record) : await upkeep.limitsOf(record);
    return { ...record, resources };
  }

  /**
   * Whether the container was killed for lack of memory. The Engine misses an OOM kill right after the start, so the
   * kernel's log is read for every unexplained SIGKILL.
   */
  private async wasOomKilled(container: ContainerRecord): Promise<boolean> {
    const { id, oomKilled, exitCode } = container;
    if (oomKilled || !hasEnded(container) || exitCode !== 128 + SIGKILL) return oomKilled;
    return (await this.parts.kernelLog?.killedForMemory(id)) ?? false;
  }

  private async catchUpLog(container: ContainerRecord): Promise<void> {
    const behind = await keepLog(this.parts, container, this.logsBehind.get(container.id));
    if (behind === undefined) this.logsBehind.delete(container.id);
    else this.logsBehind.set(container.id, behind);
  }

  /**
   * Kills a container that started in a stopped pod. A start whose caller has given up may still succeed after the stop
   * of its pod, when kubelet considers the pod dead.
   */
  private async endStray(container: ContainerRecord): Promise<void> {
    const { docker, store, logger } = this.parts;
    const { id, sandboxId } = container;
    if (!isRunning(container) || store.sandboxes.get(sandboxId)?.stopping !== true) return;
    logger.warn('Ending a container that started in a stopped pod', { container: id, sandbox: sandboxId });
    await docker.killContainer(id).catch((error: unknown) => {
      logger.error('Cannot end a container that runs in a stopped pod', {
        container: id,
        sandbox: sandboxId,
        error: messageOf(error),
      });
    });
  }
}
