import { execFile } from 'node:child_process';
import { readdir, readFile, realpath, rmdir } from 'node:fs/promises';
import { promisify } from 'node:util';
import { parseMountinfo } from '../../../src/node/mountinfo';

const run = promisify(execFile);

/**
 * A directory of the machine that a daemon in a test may create or mount on itself. It is restored
 * afterwards.
 */
export class DirectoryAsFound {
  private constructor(
    private readonly directory: string,
    private readonly existed: boolean,
    private readonly mounts: number,
  ) {}

  static async look(directory: string): Promise<DirectoryAsFound> {
    const existed = await readdir(directory).then(
      () => true,
      () => false,
    );
    return new DirectoryAsFound(directory, existed, await mountsOn(directory));
  }

  /** Restores the directory, unless another process uses it meanwhile. */
  async restore(): Promise<void> {
    const isInUse = (await readdir(this.directory).catch(() => [])).length > 0;
    if (isInUse) return;
    for (let more = (await mountsOn(this.directory)) - this.mounts; more > 0; more--)
      await run('umount', ['-l', this.directory]);
    if (!this.existed) await rmdir(this.directory).catch(() => undefined);
  }
}

async function mountsOn(directory: string): Promise<number> {
  const path = await realpath(directory).catch(() => directory);
  const mounts = parseMountinfo(await readFile('/proc/self/mountinfo', 'utf8'));
  return mounts.filter(({ mountPoint }) => mountPoint === path).length;
}
