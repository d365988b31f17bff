import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { Semaphore } from '../lib/async/concurrency';
import type { EngineFacts } from '../store/records';
import { hasShapeOf } from '../lib/json';
import { bootId } from '../node/process/process-info';
import { wayKey } from './engine-claim';

/**
 * An example with every field of the facts. A file that lacks one of these fields was written by another version of
 * dockbridge.
 */
const EXAMPLE: EngineFacts = {
  ...{ id: '', engineVersion: '', apiVersion: '', platform: '', rootDir: '', imageDirectory: '' },
  ...{ cgroupDriver: '', runtimes: [''], defaultRuntime: '', recursiveReadOnlyRuntimes: [''], cdi: false },
  ...{ securityOptions: [''], storageDriver: '', containerdStore: false, operatingSystem: '' },
  ...{ kernelVersion: '', experimental: false, cgroupVersion: '' },
};

/** Saves the facts that an Engine has reported, for a daemon that starts while the Engine does not report them. */
export interface FactsMemory {
  /**
   * Returns the saved facts; undefined when there are none, or when they are those of another endpoint, an earlier boot or
   * another version of dockbridge.
   */
  recall(): Promise<EngineFacts | undefined>;
  /** Saves the facts. Never rejects, because without the file a later start only waits longer for the Engine. */
  keep(facts: EngineFacts): Promise<void>;
}

export class NoFactsMemory implements FactsMemory {
  recall(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  keep(): Promise<void> {
    return Promise.resolve();
  }
}

export class FactsFile implements FactsMemory {
  private kept = '';
  /** Allows one write at a time, because all drafts have the same name and the last facts must win. */
  private readonly turns = new Semaphore(1);

  constructor(
    private readonly path: string,
    /** The Engine's address, from --docker-endpoint. */
    private readonly endpoint: string,
    private readonly logger: Logger,
  ) {}

  async recall(): Promise<EngineFacts | undefined> {
    try {
      const value: unknown = JSON.parse(await readFile(this.path, 'utf8'));
      if (!hasShapeOf(value, { circumstances: '', facts: EXAMPLE })) return undefined;
      const { circumstances, facts } = value as { circumstances: string; facts: EngineFacts };
      return circumstances === (await this.circumstances()) ? facts : undefined;
    } catch {
      return undefined;
    }
  }

  keep(facts: EngineFacts): Promise<void> {
    return this.turns.run(() => this.write(facts));
  }

  private async write(facts: EngineFacts): Promise<void> {
    const draft = `${this.path}.tmp`;
    try {
      const text = `${JSON.stringify({ circumstances: await this.circumstances(), facts })}\n`;
      if (text === this.kept) return;
      await writeFile(draft, text, { mode: 0o600 });
      await rename(draft, this.path);
      this.kept = text;
    } catch (error) {
      this.logger.debug(
        () => 'Cannot save the facts of Docker Engine',
        () => ({ path: this.path, error: messageOf(error) }),
      );
      await rm(draft, { force: true }).catch(() => undefined);
    }
  }

  /**
   * Returns the endpoint's key and the boot id. A boot may bring another kernel, other control groups or another security
   * module.
   */
  private async circumstances(): Promise<string> {
    const boot = await bootId();
    return `${await wayKey(this.endpoint)} ${boot}`;
  }
}
