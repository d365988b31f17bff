import { lstat, opendir, readlink, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { mapLimited } from '../../lib/async/concurrency';
import { errnoOf, messageOf } from '../../lib/errors';
import { SmallFile } from '../../node/disk/files';
import type { Unreadable } from '../facts';

/** A configuration file is far smaller. */
const MAX_FILE_BYTES = 1 << 20;
/** How many names of one directory are kept. */
const MAX_NAMES = 2_000;
/** The kernel's limit for the links in one path (path_resolution(7)). */
const MAX_LINKS = 40;
const ANYBODY_EXECUTES = 0o111;
const CONCURRENCY = 8;
const ABSENT: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ENOTDIR']);

/**
 * The node's files below one directory. Paths are the node's own. What exists but cannot be read is recorded; what does not exist
 * is not.
 */
export class NodeRoot {
  private readonly failures = new Map<string, string>();

  constructor(readonly root: string) {}

  get unreadable(): readonly Unreadable[] {
    return [...this.failures]
      .map(([path, reason]) => ({ path, reason }))
      .sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** Whether this is the file system of this machine's own root, so that processes and programs belong to it. */
  get isOwn(): boolean {
    return resolve(this.root) === '/';
  }

  /** Returns the file's text; undefined when there is none that can be read. */
  async text(path: string, maxBytes = MAX_FILE_BYTES): Promise<string | undefined> {
    return this.attempt(path, async () => new SmallFile(await this.locate(path), maxBytes).text());
  }

  /** Like `text`, for files that are only searched. A file that is too large is skipped and not recorded. */
  async scan(path: string, maxBytes: number): Promise<string | undefined> {
    return this.attempt(path, async () => {
      const place = await this.locate(path);
      const info = await stat(place);
      return info.isFile() && info.size <= maxBytes ? new SmallFile(place, maxBytes).text() : undefined;
    });
  }

  /**
   * Lists a directory to a depth; 1 means only its own names. All names are relative to the directory. A subdirectory is listed,
   * with a slash at its end, only at the last level.
   */
  async names(directory: string, depth = 1): Promise<readonly string[] | undefined> {
    const names: string[] = [];
    const walk = async (below: string, rest: number): Promise<void> => {
      const handle = await opendir(await this.locate(join(directory, below)));
      for await (const entry of handle) {
        if (names.length >= MAX_NAMES) return;
        const name = join(below, entry.name);
        const isDirectory =
          entry.isDirectory() ||
          (rest > 1 && entry.isSymbolicLink() && (await this.isDirectory(join(directory, name))));
        if (!isDirectory) names.push(name);
        else if (rest > 1) await walk(name, rest - 1);
        else names.push(`${name}/`);
      }
    };
    return this.attempt(directory, async () => {
      await walk('', depth);
      return names.sort();
    });
  }

  /** Returns those of the paths that are programs. */
  async programs(paths: readonly string[]): Promise<string[]> {
    const found = await mapLimited([...new Set(paths)], CONCURRENCY, async (path) => {
      const info = await this.attempt(path, async () => stat(await this.locate(path)));
      return info?.isFile() === true && (info.mode & ANYBODY_EXECUTES) !== 0 ? [path] : [];
    });
    return found.flat();
  }

  private async isDirectory(path: string): Promise<boolean> {
    try {
      return (await stat(await this.locate(path))).isDirectory();
    } catch {
      // The link leads nowhere.
      return false;
    }
  }

  /** Whether the path is a symbolic link, wherever it leads. */
  async isLink(path: string): Promise<boolean> {
    return lstat(join(this.root, path)).then(
      (info) => info.isSymbolicLink(),
      () => false,
    );
  }

  /**
   * Returns the place of a node's path on this machine. Links are followed below the root, because an absolute link of the node
   * would otherwise lead to this machine's own files.
   * @throws the system's error.
   */
  async locate(path: string): Promise<string> {
    if (this.isOwn) return path;
    const parts = path.split('/').filter((part) => part !== '');
    let place = '/';
    for (let links = 0; parts.length > 0;) {
      const part = parts.shift() ?? '';
      const next = join(place, part);
      const info = await lstat(join(this.root, next));
      if (!info.isSymbolicLink()) place = next;
      else {
        if (++links > MAX_LINKS) throw new Error('too many symbolic links');
        const target = resolve(dirname(next), await readlink(join(this.root, next)));
        parts.unshift(...target.split('/').filter((one) => one !== ''));
        place = '/';
      }
    }
    return join(this.root, place);
  }

  private async attempt<T>(path: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      const code = errnoOf(error);
      if (!ABSENT.has(code)) this.failures.set(path, code ?? messageOf(error));
      return undefined;
    }
  }
}
