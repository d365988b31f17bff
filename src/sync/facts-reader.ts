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

export interface FactsReading {
  /** Resolves once `store.engine` is about an Engine of this version. */
  readonly usable: Promise<void>;
  /** What the Engine answers this time. */
  readonly learned: Promise<EngineFacts>;
}

/**
 * Reads what the Engine is. `/info` may take long (it counts, and asks all plugins) or hang: there is one question at a
 * time, which outlives the connection that asked it, and facts of the same version serve until its answer is there.
 */
export class FactsReader {
  private asking: Promise<EngineInfo> | undefined;
  private latest: EngineInfo | undefined;
  /** What the last connection was told. */
  private connection: { readonly version: EngineVersion; readonly stopped: AbortSignal } | undefined;

  constructor(private readonly parts: FactsReaderParts) {}

  /**
   * @param signal ends the wait.
   * @param stopped ends the question.
   */
  read(version: EngineVersion, signal: AbortSignal, stopped: AbortSignal): FactsReading {
    const { store, logger } = this.parts;
    store.engineVersion = version.Version;
    this.connection = { version, stopped };
    const isFirst = !isSame(store.engine, version);
    const learned = this.learn(version, stopped);
    const usable = isFirst ? abortable(learned, signal).then(() => undefined) : Promise.resolve();
    usable.catch(() => undefined);
    learned.catch((error: unknown) => {
      if (!isFirst && !stopped.aborted)
        logger.warn('Docker Engine does not say what it is; what it said before still counts', {
          error: messageOf(error),
        });
    });
    return { usable, learned };
  }

  /**
   * Asks again, for somebody who has reason to doubt what was said: an answer that is under way may be older than that.
   * @param signal ends the wait.
   */
  async readAgain(signal: AbortSignal): Promise<void> {
    if (this.connection === undefined) return;
    const { version, stopped } = this.connection;
    await abortable(Promise.allSettled([this.asking]), signal);
    await abortable(this.learn(version, stopped), signal);
  }

  private async learn(version: EngineVersion, stopped: AbortSignal): Promise<EngineFacts> {
    const { store, localEngine } = this.parts;
    this.asking ??= this.ask(stopped);
    const info = await this.asking;
    this.latest = info;
    const told = toFacts(version, info);
    const imageDirectory = localEngine ? await findImageDirectory(told) : told.imageDirectory;
    const facts = { ...told, imageDirectory };
    // Looking took time: there may be a newer answer.
    if (this.latest === info) store.engine = facts;
    return facts;
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
