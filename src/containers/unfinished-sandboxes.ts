import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { waitAtMost } from '../lib/async/deadline';
import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';

const PATIENCE_MS = 1_000;
const ID = /^[0-9a-f]{64}$/;

/**
 * Sandboxes that were begun and never finished. Nobody knows what they lack, whatever the Engine says. Each has an empty file
 * from before its start until it is ready, which shows what a killed daemon left unfinished.
 */
export class UnfinishedSandboxes {
  /** The files of sandboxes that are being created. */
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
      logger.warn('Cannot tell which sandboxes a killed daemon left unfinished', {
        error: messageOf(error),
      });
    }
    return new UnfinishedSandboxes(directory, new Set(names.filter((name) => ID.test(name))), logger);
  }

  /** Remembers nothing beyond this process. */
  static inMemory(logger: Logger): UnfinishedSandboxes {
    return new UnfinishedSandboxes(undefined, new Set(), logger);
  }

  has(id: string): boolean {
    return this.condemned.has(id);
  }

  get ids(): readonly string[] {
    return [...this.condemned];
  }

  /** Called before a sandbox starts. Returns at once, because no sandbox waits for a disk. */
  begin(id: string): void {
    if (this.directory === undefined || !ID.test(id)) return;
    const path = join(this.directory, id);
    this.begun.set(
      id,
      this.try(async () => {
        await writeFile(path, '');
        // Only this shows that the disk can be written: a removal succeeds where the write before it has failed.
        this.hasFailed = false;
      }),
    );
  }

  /** The sandbox will never be ready. */
  condemn(id: string): void {
    this.condemned.add(id);
  }

  /**
   * The sandbox is ready. Called before kubelet hears of it, because the next daemon must not call it unfinished. Never
   * rejects, and does not wait for a disk that hangs.
   */
  async finish(id: string): Promise<void> {
    await waitAtMost('Removing a file', PATIENCE_MS, this.forget(id)).catch(() => undefined);
  }

  /** The sandbox is gone. Never rejects. */
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
