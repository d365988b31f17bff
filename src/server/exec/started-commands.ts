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
 * The commands that we have told to start, as empty files: a daemon that is killed cannot end them, and nothing else
 * tells them from commands that a person has started with the Engine's own client.
 */
export class StartedCommands {
  private hasFailed = false;

  private constructor(
    private readonly directory: string | undefined,
    private readonly logger: Logger,
    /** Those of a daemon before this one. */
    readonly left: readonly StartedCommand[],
  ) {}

  static async open(directory: string, logger: Logger): Promise<StartedCommands> {
    let names: string[] = [];
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      names = await readdir(directory);
    } catch (error) {
      logger.warn('Commands cannot be remembered; a killed daemon will leave them running', {
        error: messageOf(error),
      });
    }
    const left = names.flatMap((name) => {
      const [, containerId = '', execId = ''] = NAME.exec(name) ?? [];
      return execId === '' ? [] : [{ containerId, execId }];
    });
    return new StartedCommands(directory, logger, left);
  }

  /** For a daemon that starts none, and ends none of others. */
  static none(logger: Logger): StartedCommands {
    return new StartedCommands(undefined, logger, []);
  }

  /** Returns at once: no command waits for a disk. @returns what is called when the command has ended. */
  note({ containerId, execId }: StartedCommand): () => void {
    const name = `${containerId}.${execId}`;
    // A path of ours is made of nothing that the Engine could choose.
    if (this.directory === undefined || !NAME.test(name)) return () => undefined;
    const path = join(this.directory, name);
    const written = this.try(() => writeFile(path, ''));
    return () => void written.then(() => this.try(() => rm(path, { force: true })));
  }

  private async try(work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.hasFailed = false;
    } catch (error) {
      if (!this.hasFailed)
        this.logger.warn('A command cannot be remembered on disk', {
          error: errnoOf(error) ?? messageOf(error),
        });
      this.hasFailed = true;
    }
  }
}
