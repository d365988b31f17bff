import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { waitAtMost } from '../lib/async/deadline';
import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';

const PATIENCE_MS = 1_000;
const ID = /^[0-9a-f]{64}$/;

/**
 * Sandboxes that were begun and never finished: nobody knows what is wrong with them, whatever the Engine says. An empty
 * file each, from before the start until the sandbox is ready, tells of those that a killed daemon left.
 */
export class UnfinishedSandboxes {
  /** Files of sandboxes that are being made. */
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
      logger.warn('Sandboxes that a killed daemon did not finish will not be told from others', {
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

  /** Before its start. Returns at once: no sandbox waits for a disk. */
  begin(id: string): void {
    if (this.directory === undefined || !ID.test(id)) return;
    const path = join(this.directory, id);
    this.begun.set(
      id,
      this.try(() => writeFile(path, '')),
    );
  }

  /** It will never be ready. */
  condemn(id: string): void {
    this.condemned.add(id);
  }

  /**
   * It is ready. Before kubelet hears of it: a daemon that starts next must not call it unfinished. Never rejects, and waits
   * for no disk that hangs.
   */
  async finish(id: string): Promise<void> {
    await waitAtMost('Removing a file', PATIENCE_MS, this.forget(id)).catch(() => undefined);
  }

  /** It is gone. Never rejects. */
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
      this.hasFailed = false;
    } catch (error) {
      if (!this.hasFailed)
        this.logger.warn('A sandbox that is being made cannot be remembered on disk', {
          error: messageOf(error),
        });
      this.hasFailed = true;
    }
  }
}
