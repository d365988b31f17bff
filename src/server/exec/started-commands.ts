import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, messageOf } from '../../lib/errors';
import type { Logger } from '../../lib/logger';

export interface StartedCommand {
  readonly containerId: string;
  readonly execId: string;
}

const NAME = /^([0-9a-f]{64})\.([0-9a-f]{64})$/;

/**
 * Records each started command as an empty file, so that the next daemon can end the command if this one is killed. The
 * record is needed because nothing else distinguishes commands of dockbridge from those of the Engine's own client.
 */
export class StartedCommands {
  private hasFailed = false;

  private constructor(
    private readonly directory: string | undefined,
    private readonly logger: Logger,
    /** Commands that an earlier daemon left. */
    readonly left: readonly StartedCommand[],
  ) {}

  static async open(directory: string, logger: Logger): Promise<StartedCommands> {
    let names: string[] = [];
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      names = await readdir(directory);
    } catch (error) {
      logger.warn('Cannot record commands; if this daemon is killed, they keep running', {
        error: messageOf(error),
      });
    }
    const left = names.flatMap((name) => {
      const [, containerId = '', execId = ''] = NAME.exec(name) ?? [];
      return execId === '' ? [] : [{ containerId, execId }];
    });
    return new StartedCommands(directory, logger, left);
  }

  /** Makes an instance for a daemon that starts and ends no commands. */
  static none(logger: Logger): StartedCommands {
    return new StartedCommands(undefined, logger, []);
  }

  /**
   * Records a command without waiting for the disk.
   * @returns a function that removes the record. It must be called when the command has ended.
   */
  note({ containerId, execId }: StartedCommand): () => void {
    const name = `${containerId}.${execId}`;
    // The ids come from the Engine, so they are checked before they become part of a path.
    if (this.directory === undefined || !NAME.test(name)) return () => undefined;
    const path = join(this.directory, name);
    const written = this.try(containerId, () => writeFile(path, ''));
    return () => void written.then(() => this.try(containerId, () => rm(path, { force: true })));
  }

  private async try(containerId: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.hasFailed = false;
    } catch (error) {
      if (!this.hasFailed)
        this.logger.warn('Cannot record a command on disk', {
          container: containerId,
          error: errnoOf(error) ?? messageOf(error),
        });
      this.hasFailed = true;
    }
  }
}
