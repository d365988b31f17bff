import { execFile } from 'node:child_process';
import { mkdir, open, readlink, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { isInContainer } from '../../lib/cgroup/members';
import { mapLimited } from '../../lib/concurrency';
import { isDiskTrouble } from '../../lib/disk-trouble';
import { failedPrecondition } from '../../lib/errors';
import { listDirectory } from '../../lib/list-directory';

const run = promisify(execFile);
const MOUNT_TIMEOUT_MS = 10_000;
const CONCURRENT_LOOKS = 16;
/** `f_type` of a namespace file. */
const NSFS_MAGIC = 0x6e736673;

/**
 * Names for pods' network namespaces that neither end with the pod's processes nor ever mean another namespace:
 * `/proc/<pid>/ns/net` bound to a file. Plugins get only these, so a reused pid cannot lead them to the node's own.
 */
export class NamespaceHandles {
  constructor(private readonly directory: string) {}

  pathOf(sandboxId: string): string {
    return join(this.directory, sandboxId);
  }

  /** Whether the path is one of ours, of this or of an earlier run. */
  owns(path: string): boolean {
    return path.startsWith(`${this.directory}/`);
  }

  /**
   * Binds the namespace of a running sandbox, or finds it bound.
   * @throws FAILED_PRECONDITION when the process is not the sandbox's, or lives in the node's own namespace.
   */
  async hold(sandboxId: string, pid: number): Promise<string> {
    const path = this.pathOf(sandboxId);
    const source = `/proc/${pid}/ns/net`;
    if (await this.isHeld(sandboxId)) {
      if (await isSame(path, source)) return path;
      // Left by an earlier life of this container: its namespace is gone, or about to go.
      await this.release(sandboxId);
    }
    await mkdir(this.directory, { recursive: true, mode: 0o711 });
    await (await open(path, 'a', 0o600)).close();
    try {
      await run('mount', ['--bind', source, path], { timeout: MOUNT_TIMEOUT_MS });
      // After the mount: had the pid been reused before it, the cgroup would tell now.
      if (!(await isInContainer(pid, sandboxId)))
        throw failedPrecondition(`process ${pid} is not of sandbox ${sandboxId}: it has just ended`);
      for (const host of ['/proc/self/ns/net', '/proc/1/ns/net']) {
        if (await isSame(path, host))
          throw failedPrecondition(`sandbox ${sandboxId} is in the node's own network namespace`);
      }
    } catch (error) {
      await this.release(sandboxId);
      throw error;
    }
    return path;
  }

  async isHeld(sandboxId: string): Promise<boolean> {
    return isNamespace(this.pathOf(sandboxId));
  }

  /** Whether the handle is of the namespace that `pid` is in. */
  async isOf(sandboxId: string, pid: number): Promise<boolean> {
    return isSame(this.pathOf(sandboxId), `/proc/${pid}/ns/net`);
  }

  /** Lets the namespace go; absent is success. */
  async release(sandboxId: string): Promise<void> {
    const path = this.pathOf(sandboxId);
    // One on top of another, if a daemon died in between.
    while (await isNamespace(path)) await run('umount', ['-l', path], { timeout: MOUNT_TIMEOUT_MS });
    // On a disk that takes no change the empty file stays, until the next start finds it among the handles.
    await rm(path, { force: true }).catch((error: unknown) => {
      if (!isDiskTrouble(error)) throw error;
    });
  }

  /** Sandboxes in whose namespaces processes live, whatever the Engine says of them: one look through /proc. */
  async inUse(): Promise<ReadonlySet<string>> {
    const inodes = await inodesInUse();
    const ids = await this.list();
    const living = await Promise.all(
      ids.map(async (id) => {
        const handle = await stat(this.pathOf(id)).catch(() => undefined);
        return handle !== undefined && inodes.has(`net:[${handle.ino}]`);
      }),
    );
    return new Set(ids.filter((_, at) => living[at]));
  }

  /** Releases all. @returns whose they were. */
  async letGo(): Promise<readonly string[]> {
    const ids = await this.list();
    for (const id of ids) await this.release(id);
    return ids;
  }

  /** Sandboxes with a handle. */
  async list(): Promise<string[]> {
    return listDirectory(this.directory);
  }
}

/** What a network needs of them: tests have no namespaces. */
export type PodNamespaces = Pick<NamespaceHandles, Exclude<keyof NamespaceHandles, 'letGo'>>;

/** As the links below /proc write them: `net:[4026531840]`. */
async function inodesInUse(): Promise<ReadonlySet<string>> {
  const pids = (await listDirectory('/proc')).filter((name) => /^\d+$/.test(name));
  // A process that has ended has no link any more.
  const links = await mapLimited(pids, CONCURRENT_LOOKS, (pid) =>
    readlink(`/proc/${pid}/ns/net`).catch(() => ''),
  );
  return new Set(links);
}

async function isNamespace(path: string): Promise<boolean> {
  try {
    return (await statfs(path)).type === NSFS_MAGIC;
  } catch {
    return false;
  }
}

/** Two names of one namespace; false when either does not exist. */
async function isSame(one: string, other: string): Promise<boolean> {
  try {
    const [a, b] = await Promise.all([stat(one), stat(other)]);
    return a.dev === b.dev && a.ino === b.ino;
  } catch {
    return false;
  }
}
