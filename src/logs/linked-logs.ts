import { copyFile, lstat, mkdir, readdir, readlink, rename, rm, symlink, truncate } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errnoOf, internal, messageOf, notFound } from '../lib/errors';
import { KeyedLock } from '../lib/keyed-lock';
import type { Logger } from '../lib/logger';
import type { ContainerLogs, LogSource } from './container-logs';

/**
 * `--container-logs=link`: the CRI log path is a symlink to the Engine's json-file, as with cri-dockerd. Costs nothing,
 * is not CRI's format, and rotation is copy-and-truncate: what a container writes between the two is lost.
 */
export class LinkedLogs implements ContainerLogs {
  private readonly sources = new Map<string, LogSource>();
  private readonly lock = new KeyedLock();

  constructor(private readonly logger: Logger) {}

  async follow(source: LogSource): Promise<void> {
    this.sources.set(source.containerId, source);
    await this.lock.run(source.containerId, async () => {
      try {
        await link(source);
      } catch (error) {
        throw internal(`${source.logPath} cannot be linked: ${messageOf(error)}`, { cause: error });
      }
    });
  }

  /** The Engine's own file is complete when it reports the exit. */
  drain(): Promise<void> {
    return Promise.resolve();
  }

  async reopen(containerId: string): Promise<void> {
    const source = this.sources.get(containerId);
    if (source === undefined) throw notFound(`the log of container ${containerId} is not followed`);
    await this.lock.run(containerId, async () => {
      const renamed = await renamedLinks(source);
      // kubelet renames one link before each call; without one there is nothing to cut off.
      const [first] = renamed;
      if (first !== undefined) await copyAndTruncate(source, first);
      await link(source);
    });
  }

  async forget(containerId: string): Promise<void> {
    const source = this.sources.get(containerId);
    this.sources.delete(containerId);
    if (source === undefined) return;
    try {
      if (await isLinkTo(source.logPath, source.spoolPath)) await rm(source.logPath, { force: true });
    } catch (error) {
      this.logger.warn('A log link could not be removed', { path: source.logPath, error: messageOf(error) });
    }
  }

  retain(containerIds: ReadonlySet<string>): Promise<void> {
    for (const id of this.sources.keys()) if (!containerIds.has(id)) this.sources.delete(id);
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Makes or replaces the link in one step: a reader never finds nothing. */
async function link({ logPath, spoolPath }: LogSource): Promise<void> {
  if (await isLinkTo(logPath, spoolPath)) return;
  await mkdir(dirname(logPath), { recursive: true, mode: 0o755 });
  const temporary = `${logPath}.dockbridge-link`;
  await rm(temporary, { force: true });
  await symlink(spoolPath, temporary);
  await rename(temporary, logPath);
}

/** Links to our spool beside the log path, under the names that kubelet's rotation gave them. */
async function renamedLinks({ logPath, spoolPath }: LogSource): Promise<string[]> {
  const directory = dirname(logPath);
  const prefix = `${basename(logPath)}.`;
  const names = (await readdir(directory)).filter((name) => name.startsWith(prefix));
  const paths = names.map((name) => join(directory, name));
  const ours = await Promise.all(paths.map((path) => isLinkTo(path, spoolPath)));
  return paths.filter((_, index) => ours[index]);
}

async function copyAndTruncate({ spoolPath }: LogSource, renamedPath: string): Promise<void> {
  const temporary = `${renamedPath}.dockbridge-copy`;
  try {
    await copyFile(spoolPath, temporary);
    await rename(temporary, renamedPath);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw internal(`the log ${spoolPath} cannot be copied to ${renamedPath}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  // The Engine appends (O_APPEND), so it goes on at the new end.
  await truncate(spoolPath, 0);
}

async function isLinkTo(path: string, target: string): Promise<boolean> {
  try {
    return (await lstat(path)).isSymbolicLink() && (await readlink(path)) === target;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}
