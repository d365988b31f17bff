import type { Stats } from 'node:fs';
import {
  copyFile,
  link as hardLink,
  lstat,
  open,
  readdir,
  readlink,
  rename,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { basename, join } from 'node:path';
import { DiskLooks } from '../node/disk/disk-looks';
import { errnoOf, hasCode, internal, messageOf, notFound } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { pathOf } from '../node/disk/make-directory';
import type { ContainerLogs, LogPlace, LogSource, LogTrouble, RelinkedLog } from './container-logs';
import { formatNote } from './json-file-to-cri';
import { inHeldDirectory, logDirectoryOf } from './log-directory';
import { rotationStamp, TEMPORARY } from './log-link';

/** How many of libuv's four threads may work on logs at the same time. */
const THREADS = 2;
/**
 * The time limit of work on a log, in ms. Copying a whole spool for a reopen takes less. If work on a log takes longer, its
 * disk counts as hanging.
 */
const PATIENCE_MS = 15_000;

/**
 * Implements `--container-logs=link`: the CRI log path is a symlink to the Engine's json-file, as with cri-dockerd. This costs
 * nothing, but the log does not have CRI's format, and rotation copies and then truncates the file. Output that a container
 * writes between these two steps is lost.
 */
export class LinkedLogs implements ContainerLogs {
  private readonly sources = new Map<string, LogSource>();
  private readonly looks = new DiskLooks(THREADS, PATIENCE_MS);

  /** @param hold replaced in tests. */
  constructor(
    private readonly logger: Logger,
    private readonly hold: typeof inHeldDirectory = inHeldDirectory,
  ) {}

  /** A problem that an operator should know about; undefined when there is none. */
  get trouble(): LogTrouble | undefined {
    const { hanging } = this.looks;
    if (hanging.length === 0) return undefined;
    const containers = hanging.map((id) => id.slice(0, 12)).join(', ');
    const rest = hanging.length < THREADS ? '' : '; no log is linked until one of them answers';
    const message = `the file system of a container's log does not answer (container ${containers})${rest}`;
    return { reason: 'LogsHang', message };
  }

  async follow(source: LogSource): Promise<void> {
    this.sources.set(source.containerId, source);
    try {
      await this.at(source, () => this.link(source));
    } catch (error) {
      if (hasCode(error, 'DEADLINE_EXCEEDED')) throw error;
      throw internal(`${source.logPath} cannot be linked: ${messageOf(error)}`, { cause: error });
    }
  }

  /** Does nothing, because the Engine's own file is complete when the Engine reports the exit. */
  drain(): Promise<void> {
    return Promise.resolve();
  }

  async reopen(containerId: string): Promise<void> {
    const source = this.sources.get(containerId);
    if (source === undefined) throw notFound(`the log of container ${containerId} is not followed`);
    await this.at(source, async () => {
      await this.within(source, async (held, name) => {
        // kubelet renames the link before each call, so without a renamed link there is nothing to rotate.
        const [first] = await renamedLinks(held, name, source.spoolPath);
        if (first !== undefined) await copyAndTruncate(source, first);
      });
      await this.link(source);
    });
  }

  async salvage(source: LogSource): Promise<void> {
    const found = await this.at(source, () => statOf(source.spoolPath));
    if ((found?.size ?? 0) > 0) await this.follow(source);
  }

  async note(place: LogPlace, text: string): Promise<void> {
    const write = (): Promise<void> =>
      this.within(place, async (held, name) => {
        try {
          await writeFile(`${held}/${name}`, formatNote(text, new Date()), { flag: 'wx', mode: 0o640 });
        } catch (error) {
          if (errnoOf(error) !== 'EEXIST') throw error;
        }
      });
    await this.at(place, write);
  }

  async forget(containerId: string): Promise<void> {
    const source = this.sources.get(containerId);
    this.sources.delete(containerId);
    if (source === undefined) return;
    const remove = (): Promise<void> =>
      this.within(source, async (held, name) => {
        if (await isLinkTo(`${held}/${name}`, source.spoolPath)) await rm(`${held}/${name}`, { force: true });
      });
    try {
      await this.at(source, remove);
    } catch (error) {
      this.logger.warn('Cannot remove the link of a container log', {
        path: source.logPath,
        error: messageOf(error),
      });
    }
  }

  async handOver(source: LogSource): Promise<RelinkedLog> {
    const isLink = (held: string, name: string): Promise<boolean> =>
      isLinkTo(`${held}/${name}`, source.spoolPath);
    const wasLink = await this.at(source, () => this.within(source, isLink));
    await this.follow(source);
    return { changed: !wasLink, keptAs: '' };
  }

  retain(containerIds: ReadonlySet<string>): Promise<void> {
    for (const id of this.sources.keys()) if (!containerIds.has(id)) this.sources.delete(id);
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Runs at most one piece of work on a container's log at a time. The caller waits no longer than PATIENCE_MS. */
  private at<T>({ containerId, logPath }: LogPlace, work: () => Promise<T>): Promise<T> {
    return this.looks.run(`The log ${logPath}`, containerId, work);
  }

  private within<T>(
    { logPath, logDirectory }: LogPlace,
    work: (held: string, name: string) => Promise<T>,
  ): Promise<T> {
    return this.hold(logDirectoryOf(logPath, logDirectory), (held) => work(held, basename(logPath)));
  }

  /** Makes or replaces the link in one step, so that the path always exists for readers. */
  private async link(source: LogSource): Promise<void> {
    await this.within(source, async (held, name) => {
      if (await isLinkTo(`${held}/${name}`, source.spoolPath)) return;
      const temporary = `${held}/${name}${TEMPORARY}`;
      await rm(temporary, { force: true });
      await symlink(source.spoolPath, temporary);
      await keepFile(held, name);
      await rename(temporary, `${held}/${name}`);
    });
  }
}

/** Keeps a log that we wrote under `--container-logs=cri`, and gives it a name that kubelet's rotation recognizes. */
async function keepFile(held: string, name: string): Promise<void> {
  const found = await statOf(`${held}/${name}`);
  if (found?.isFile() !== true || found.size === 0) return;
  for (let at = Date.now(); ; at += 1000) {
    try {
      // This uses link(2), because rename(2) would replace an existing file.
      await hardLink(`${held}/${name}`, `${held}/${name}.${rotationStamp(new Date(at))}`);
      return;
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
  }
}

/** Lists the links to our spool next to the log path. kubelet's rotation gave them their names. */
async function renamedLinks(held: string, name: string, spoolPath: string): Promise<string[]> {
  const names = (await readdir(held)).filter((other) => other.startsWith(`${name}.`));
  const paths = names.map((other) => join(held, other));
  const ours = await Promise.all(paths.map((path) => isLinkTo(path, spoolPath)));
  return paths.filter((_, index) => ours[index]);
}

async function copyAndTruncate({ spoolPath, logPath }: LogSource, renamedPath: string): Promise<void> {
  const temporary = `${renamedPath}${TEMPORARY}`;
  try {
    await rm(temporary, { force: true });
    // The flag `x` requires a new file, so that we never write through a link that somebody has put there.
    const copy = await open(temporary, 'wx', 0o640);
    try {
      await copyFile(spoolPath, pathOf(copy));
    } finally {
      await copy.close();
    }
    await rename(temporary, renamedPath);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw internal(`the log ${spoolPath} cannot be copied beside ${logPath}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  // The Engine opened the file with O_APPEND, so it continues at the new end.
  await truncate(spoolPath, 0);
}

async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function isLinkTo(path: string, target: string): Promise<boolean> {
  try {
    return (await lstat(path)).isSymbolicLink() && (await readlink(path)) === target;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}
