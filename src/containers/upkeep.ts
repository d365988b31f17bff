import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { KeyedLock } from '../lib/async/keyed-lock';
import { keepResolvConf } from '../network/resolv-conf-file';
import type { ContainerRecord, ResourcesRecord } from '../store/records';
import type { EngineContainerInspect } from '../engine/types';
import type { Store } from '../store/store';
import { readKernelValues, restoreLostValues } from './limits';
import { LimitsWatch } from './limits-watch';

/** What a daemon sees to at containers that were started without it, where it can reach their files. */
export interface Upkeep {
  /**
   * Right after a start of a sandbox: gives it the DNS of its pod. Never rejects.
   * @param untouchedOnly leaves a file alone that was written to since, for a start that nobody saw.
   */
  keepDns(sandbox: EngineContainerInspect, untouchedOnly: boolean): Promise<void>;
  /**
   * Writes the limits that a run lacks which others began, or a daemon that did not live to see it.
   * @returns what the kernel says of all its values then.
   */
  keepLimits(container: ContainerRecord): Promise<ResourcesRecord>;
  /** @returns what the kernel says; for a run whose limits have been seen to. */
  limitsOf(container: ContainerRecord): Promise<ResourcesRecord>;
  /** From now on limits that are taken away from a running container are written again. */
  watchLimits(store: Pick<Store, 'containers'>, lock: KeyedLock): void;
  close(): void;
}

/** The upkeep of a node that is this machine. */
export class NodeUpkeep implements Upkeep {
  private watch: LimitsWatch | undefined;

  /** @param proc where /proc is; tests have their own. */
  constructor(
    private readonly logger: Logger,
    private readonly proc?: string,
  ) {}

  async keepDns(sandbox: EngineContainerInspect, untouchedOnly: boolean): Promise<void> {
    try {
      await keepResolvConf(sandbox, untouchedOnly);
    } catch (error) {
      this.logger.warn('resolv.conf of a pod cannot be kept', {
        sandbox: sandbox.Id,
        error: messageOf(error),
      });
    }
  }

  async keepLimits(container: ContainerRecord): Promise<ResourcesRecord> {
    return (await restoreLostValues(container, this.logger, this.proc)).resources;
  }

  limitsOf(container: ContainerRecord): Promise<ResourcesRecord> {
    // The loss may be seen here first, and must not become what is wanted.
    return this.watch?.follows(container) === true
      ? this.keepLimits(container)
      : readKernelValues(container, this.proc);
  }

  watchLimits(store: Pick<Store, 'containers'>, lock: KeyedLock): void {
    this.watch = new LimitsWatch({ store, lock, logger: this.logger, proc: this.proc });
  }

  close(): void {
    this.watch?.close();
  }
}

/** The upkeep of a node that is somebody else's to see to: nothing is written, what is there is told. */
export class NoUpkeep implements Upkeep {
  constructor(private readonly proc?: string) {}

  keepDns(): Promise<void> {
    return Promise.resolve();
  }

  keepLimits(container: ContainerRecord): Promise<ResourcesRecord> {
    return this.limitsOf(container);
  }

  limitsOf(container: ContainerRecord): Promise<ResourcesRecord> {
    return readKernelValues(container, this.proc);
  }

  watchLimits(): void {
    // Nothing is written.
  }

  close(): void {
    // Nothing is open.
  }
}
