import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { keepResolvConf } from '../network/resolv-conf-file';
import type { ContainerRecord, ResourcesRecord } from '../store/records';
import type { EngineContainerInspect } from '../engine/types';
import type { Store } from '../store/store';
import { type Hold, LimitsWatch, readKernelValues, restoreLostValues } from './limits';

/** What a daemon does for containers that others started, if it can reach their files. */
export interface Upkeep {
  /**
   * Gives a sandbox the DNS of its pod, right after its start. Never rejects.
   * @param untouchedOnly leaves alone a file that was written to since the start; for a start that nobody saw.
   */
  keepDns(sandbox: EngineContainerInspect, untouchedOnly: boolean): Promise<void>;
  /**
   * Writes the limits that a container lacks because somebody else started it, or a daemon that was killed meanwhile.
   * @returns the values that the kernel has afterwards.
   */
  keepLimits(container: ContainerRecord): Promise<ResourcesRecord>;
  /** @returns the values that the kernel has, for a container that got its limits after its start. */
  limitsOf(container: ContainerRecord): Promise<ResourcesRecord>;
  /** From now on, limits that somebody takes away from a running container are written again. */
  watchLimits(store: Pick<Store, 'containers'>, hold: Hold): void;
  close(): void;
}

/** For a daemon that runs on the node and serves it. */
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
    // We may notice here first that a value was lost. The value that replaced it must not become the wanted one.
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

/** For a daemon that only observes: it reads, and writes nothing. */
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
