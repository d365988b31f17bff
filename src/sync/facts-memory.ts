import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { Semaphore } from '../lib/async/concurrency';
import type { EngineFacts } from '../store/records';
import { hasShapeOf } from '../lib/json';
import { bootId } from '../node/process/process-info';
import { wayKey } from './engine-claim';

/** A file that lacks one of these was written by another version of dockbridge. */
const EXAMPLE: EngineFacts = {
  ...{ id: '', engineVersion: '', apiVersion: '', platform: '', rootDir: '', imageDirectory: '' },
  ...{ cgroupDriver: '', runtimes: [''], defaultRuntime: '', recursiveReadOnlyRuntimes: [''], cdi: false },
  ...{ securityOptions: [''], storageDriver: '', containerdStore: false, operatingSystem: '' },
  ...{ kernelVersion: '', experimental: false, cgroupVersion: '' },
};

/** The facts that an Engine has told, for a daemon that starts while the Engine does not tell them. */
export interface FactsMemory {
  /** Undefined when nothing is known that can still be true: never facts of another endpoint or of an earlier boot. */
  recall(): Promise<EngineFacts | undefined>;
  /** Never rejects. Without the file a later start may have to wait. */
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
  /** All drafts have the same name, and the last facts count. */
  private readonly turns = new Semaphore(1);

  constructor(
    private readonly path: string,
    /** --docker-endpoint. */
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

  /** A boot may bring another kernel, other control groups, another security module. */
  private async circumstances(): Promise<string> {
    const boot = await bootId();
    return `${await wayKey(this.endpoint)} ${boot}`;
  }
}
