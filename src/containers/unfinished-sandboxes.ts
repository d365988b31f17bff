import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { waitAtMost } from '../lib/async/deadline';
import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';

const PATIENCE_MS = 1_000;
const ID = /^[0-9a-f]{64}$/;

/**
 * Sandboxes whose creation began but never finished. Such a sandbox may be incomplete in any way, even if the Engine reports it
 * as running. From before its start until it is ready, each sandbox has an empty file, which shows the next daemon what a
 * killed daemon left unfinished.
 */
export class UnfinishedSandboxes {
  /** Pending writes of the files of sandboxes that are being created, keyed by sandbox id. */
  private readonly begun = new Map<string, Promise<void>>();
  private hasFailed = false;

  private constructor(
    private readonly directory: string | undefined,
    private readonly condemned: Set<string>,
    private readonly logger: Logger,
  ) {}

  static async open(directory: string, logger: Logger): Promise<UnfinishedSandboxes> {
    let names: string[] = [];
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      names = await readdir(directory);
    } catch (error) {
      logger.warn('Cannot read which sandboxes a killed daemon left unfinished', {
        error: messageOf(error),
      });
    }
    return new UnfinishedSandboxes(directory, new Set(names.filter((name) => ID.test(name))), logger);
  }

  /** Makes a set that remembers nothing beyond this process. */
  static inMemory(logger: Logger): UnfinishedSandboxes {
    return new UnfinishedSandboxes(undefined, new Set(), logger);
  }

  has(id: string): boolean {
    return this.condemned.has(id);
  }

  get ids(): readonly string[] {
    return [...this.condemned];
  }

  /** Records a sandbox before its start. Returns at once, because no sandbox waits for a disk. */
  begin(id: string): void {
    if (this.directory === undefined || !ID.test(id)) return;
    const path = join(this.directory, id);
    this.begun.set(
      id,
      this.try(async () => {
        await writeFile(path, '');
        // Only a write shows that the disk can be written, because a removal succeeds even if the file was never written.
        this.hasFailed = false;
      }),
    );
  }

  /** Notes that the sandbox will never be ready. */
  condemn(id: string): void {
    this.condemned.add(id);
  }

  /**
   * Removes the file of a sandbox that is ready. Called before kubelet learns of the sandbox, because the next daemon
   * must not treat it as unfinished. Never rejects, and waits at most a second for the disk.
   */
  async finish(id: string): Promise<void> {
    await waitAtMost('Removing a file', PATIENCE_MS, this.forget(id)).catch(() => undefined);
  }

  /** Removes all traces of a sandbox that is gone or ready. Never rejects. */
  async forget(id: string): Promise<void> {
    const written = this.begun.get(id);
    this.begun.delete(id);
    const isKept = this.condemned.delete(id) || written !== undefined;
    if (this.directory === undefined || !isKept || !ID.test(id)) return;
    const path = join(this.directory, id);
    await written;
    await this.try(() => rm(path, { force: true }));
  }

  private async try(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!this.hasFailed)
        this.logger.warn('Cannot record a sandbox that is being created', {
          error: messageOf(error),
        });
      this.hasFailed = true;
    }
  }
}
