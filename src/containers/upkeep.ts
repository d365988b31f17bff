import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { keepResolvConf } from '../network/resolv-conf-file';
import type { ContainerRecord, ResourcesRecord } from '../store/records';
import type { EngineContainerInspect } from '../engine/types';
import type { Store } from '../store/store';
import { type Hold, LimitsWatch, readKernelValues, restoreLostValues } from './limits';

/** What a daemon does to complete containers that it did not start, if it can reach their files. */
export interface Upkeep {
  /**
   * Gives a sandbox the DNS of its pod, right after its start. Never rejects.
   * @param untouchedOnly leaves a file alone that was written since the start. It is true for a start that dockbridge did
   * not see.
   */
  keepDns(sandbox: EngineContainerInspect, untouchedOnly: boolean): Promise<void>;
  /**
   * Writes the limits that a container lacks because another client, or a daemon that was then killed, started it.
   * @returns the kernel's values afterwards.
   */
  keepLimits(container: ContainerRecord): Promise<ResourcesRecord>;
  /** @returns the kernel's values for a container that already has its limits. */
  limitsOf(container: ContainerRecord): Promise<ResourcesRecord>;
  /**
   * Begins to watch the limits of running containers. From now on, limits that another program resets are written again.
   */
  watchLimits(store: Pick<Store, 'containers'>, hold: Hold): void;
  close(): void;
}

/** The upkeep of a daemon that runs on the node and serves it. */
export class NodeUpkeep implements Upkeep {
  private watch: LimitsWatch | undefined;

  /** @param proc the proc file system, for tests. */
  constructor(
    private readonly logger: Logger,
    private readonly proc?: string,
  ) {}

  async keepDns(sandbox: EngineContainerInspect, untouchedOnly: boolean): Promise<void> {
    try {
      await keepResolvConf(sandbox, untouchedOnly);
    } catch (error) {
      this.logger.warn('Cannot correct the resolv.conf of a pod', {
        sandbox: sandbox.Id,
        error: messageOf(error),
      });
    }
  }

  async keepLimits(container: ContainerRecord): Promise<ResourcesRecord> {
    return (await restoreLostValues(container, this.logger, this.proc)).resources;
  }

  limitsOf(container: ContainerRecord): Promise<ResourcesRecord> {
    // The loss of a value may be noticed here first. The value that replaced it must not become the wanted value.
    return this.watch?.follows(container) === true
      ? this.keepLimits(container)
      : readKernelValues(container, this.proc);
  }

  watchLimits(store: Pick<Store, 'containers'>, hold: Hold): void {
    this.watch = new LimitsWatch({ store, hold, logger: this.logger, proc: this.proc });
  }

  close(): void {
    this.watch?.close();
  }
}

/** The upkeep of a daemon that only observes. It writes nothing. */
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
    // An observer writes nothing, so it has nothing to watch.
  }

  close(): void {
    // There is nothing to close.
  }
}
