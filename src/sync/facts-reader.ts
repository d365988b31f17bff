import type { DockerClient } from '../docker/client';
import { abortable } from '../lib/abortable';
import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { EngineFacts } from '../store/records';
import type { Store } from '../store/store';
import { findImageDirectory } from '../system/image-directory';
import type { EngineInfo, EngineVersion } from '../translate/engine';
import { toFacts } from '../translate/engine-facts';

export interface FactsReaderParts {
  readonly docker: Pick<DockerClient, 'info'>;
  readonly store: Store;
  readonly logger: Logger;
  /** Whether the Engine's directories are ours to see. */
  readonly localEngine: boolean;
}

/**
 * Reads what the Engine is. `/info` may take long (it counts, and asks all plugins) or hang: there is one question at a
 * time, which outlives the connection that asked it, and facts of the same version serve until its answer is there.
 */
export class FactsReader {
  private asking: Promise<EngineInfo> | undefined;

  constructor(private readonly parts: FactsReaderParts) {}

  /**
   * Resolves once `store.engine` is about an Engine of this version.
   * @param signal ends the wait.
   * @param stopped ends the question.
   */
  async read(version: EngineVersion, signal: AbortSignal, stopped: AbortSignal): Promise<void> {
    const { store, logger } = this.parts;
    store.engineVersion = version.Version;
    const learned = this.learn(version, stopped);
    if (!isSame(store.engine, version)) return abortable(learned, signal);
    learned.catch((error: unknown) => {
      if (!stopped.aborted)
        logger.warn('Docker Engine does not say what it is; what it said before still counts', {
          error: messageOf(error),
        });
    });
  }

  private async learn(version: EngineVersion, stopped: AbortSignal): Promise<void> {
    const { store, localEngine } = this.parts;
    this.asking ??= this.ask(stopped);
    const facts = toFacts(version, await this.asking);
    store.engine = localEngine ? { ...facts, imageDirectory: await findImageDirectory(facts) } : facts;
  }

  private async ask(signal: AbortSignal): Promise<EngineInfo> {
    try {
      return await this.parts.docker.info({ signal });
    } finally {
      this.asking = undefined;
    }
  }
}

function isSame(facts: EngineFacts | undefined, { Version, ApiVersion }: EngineVersion): boolean {
  return facts?.engineVersion === Version && facts.apiVersion === ApiVersion;
}
