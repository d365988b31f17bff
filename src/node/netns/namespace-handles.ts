import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { mkdir, open, readFile, readlink, rm, stat, statfs } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { mapLimited } from '../../lib/async/concurrency';
import { errnoOf, failedPrecondition } from '../../lib/errors';
import { isInContainer } from '../cgroup';
import { isDiskTrouble, listDirectory } from '../disk/files';
import { parseMountinfo } from '../mountinfo';
import { processIds } from '../process/process-info';

const run = promisify(execFile);
const MOUNT_TIMEOUT_MS = 10_000;
const CONCURRENT_LOOKS = 16;
/** `f_type` of the kernel's file system of namespaces (nsfs). */
const NSFS_MAGIC = 0x6e736673;

/** Matches the names of the handles of all daemons. The mark in the name distinguishes the daemons. */
const NAME = /^cni-dockbridge-[0-9a-f]{8}-(.+)$/;

/** The places where a daemon keeps its handles. */
export interface HandlePlaces {
  /** The directory, which is shared with other daemons and other programs. */
  readonly directory: string;
  /** Prefix of the names of this daemon's handles. */
  readonly prefix: string;
  /**
   * The directory in which earlier versions kept handles, under names that contain only the sandbox. The handles of running
   * pods stay there until the pods end.
   */
  readonly former: string;
}

/**
 * Handles of pods' network namespaces: `/proc/<pid>/ns/net` bound to a file. A handle outlives the pod's processes and never
 * refers to another namespace. Plugins get only handles, so a reused pid cannot lead them to the node's own namespace.
 */
export class NamespaceHandles {
  private isShared = false;

  constructor(private readonly places: HandlePlaces) {}

  /**
   * Opens the handles of the daemon with this run directory. No two daemons share a run directory. The function is synchronous,
   * because it runs at the start.
   * @param directory replaced in tests.
   */
  static of(runDir: string, directory = NAMESPACE_DIRECTORY): NamespaceHandles {
    const mark = createHash('sha256').update(realPath(runDir)).digest('hex').slice(0, 8);
    return new NamespaceHandles({
      directory,
      prefix: `cni-dockbridge-${mark}-`,
      former: join(runDir, 'netns'),
    });
  }

  /** Returns the path that the handle of a new sandbox will have. */
  pathOf(sandboxId: string): string {
    return join(this.places.directory, this.places.prefix + sandboxId);
  }

  /** Whether the path is a handle of this daemon, from this run or an earlier one. */
  owns(path: string): boolean {
    const { directory, prefix, former } = this.places;
    return path.startsWith(join(directory, prefix)) || path.startsWith(`${former}/`);
  }

  /** Creates the directory, so that agents in pods can mount it even before it contains a handle. */
  async prepare(): Promise<void> {
    const made = await mkdir(this.places.directory, { recursive: true, mode: 0o755 });
    if (this.isShared && made === undefined) return;
    await shareDirectory(this.places.directory);
    this.isShared = true;
  }

  /**
   * Binds the namespace of a running sandbox, unless it is bound already.
   * @throws FAILED_PRECONDITION when the process is not the sandbox's, or runs in the node's own network namespace.
   */
  async hold(sandboxId: string, pid: number): Promise<string> {
    const source = `/proc/${pid}/ns/net`;
    const held = await this.heldPath(sandboxId);
    if (held !== '') {
      if (await isSame(held, source)) return held;
      // The handle was made before a restart of this container. Its namespace is gone or will soon be gone.
      await this.release(sandboxId);
    }
    await this.prepare();
    const path = this.pathOf(sandboxId);
    await (await open(path, 'a', 0o600)).close();
    try {
      await run('mount', ['--bind', source, path], { timeout: MOUNT_TIMEOUT_MS });
      // The cgroup is checked after the mount, so that a pid that was reused before the mount is noticed.
      if (!(await isInContainer(pid, sandboxId)))
        throw failedPrecondition(`process ${pid} does not belong to sandbox ${sandboxId}: it has just ended`);
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

  /** @returns the sandbox's handle, '' when its namespace is not held. */
  async heldPath(sandboxId: string): Promise<string> {
    for (const path of this.pathsOf(sandboxId)) if (await isNamespace(path)) return path;
    return '';
  }

  /** Whether the sandbox's handle refers to the namespace of `pid`. */
  async isOf(sandboxId: string, pid: number): Promise<boolean> {
    return isSame(await this.heldPath(sandboxId), `/proc/${pid}/ns/net`);
  }

  /** Releases the namespace; succeeds when it is not held. */
  async release(sandboxId: string): Promise<void> {
    for (const path of this.pathsOf(sandboxId)) {
      // A daemon that was killed may have left several mounts on top of each other.
      while (await isNamespace(path)) await run('umount', ['-l', path], { timeout: MOUNT_TIMEOUT_MS });
      // The file may stay, because the disk is read-only or a mount hides the file. The next start then finds it among the
      // handles.
      await rm(path, { force: true }).catch((error: unknown) => {
        if (!isDiskTrouble(error) && errnoOf(error) !== 'EBUSY') throw error;
      });
    }
  }

  /** Lists the sandboxes whose namespaces have living processes, even if the Engine does not know them. Reads all of /proc. */
  async inUse(): Promise<ReadonlySet<string>> {
    const inodes = await inodesInUse();
    const ids = await this.list();
    const living = await Promise.all(
      ids.map(async (id) => {
        const handle = await stat(await this.heldPath(id)).catch(() => undefined);
        return handle !== undefined && inodes.has(`net:[${handle.ino}]`);
      }),
    );
    return new Set(ids.filter((_, at) => living[at]));
  }

  /** Releases all handles. @returns the sandboxes that had one. */
  async letGo(): Promise<readonly string[]> {
    const ids = await this.list();
    for (const id of ids) await this.release(id);
    return ids;
  }

  /** Lists the sandboxes that have a handle of this daemon. */
  async list(): Promise<string[]> {
    const { directory, prefix, former } = this.places;
    const names = (await listDirectory(directory)).filter((name) => name.startsWith(prefix));
    return [
      ...new Set([...names.map((name) => name.slice(prefix.length)), ...(await listDirectory(former))]),
    ];
  }

  private pathsOf(sandboxId: string): [string, string] {
    return [this.pathOf(sandboxId), join(this.places.former, sandboxId)];
  }
}

/** Returns the sandbox to which the handle at this path belongs; undefined when the path is not a handle of dockbridge. */
export function holderOf(path: string): string | undefined {
  return NAME.exec(basename(path))?.[1];
}

/** The methods that networks need. Tests implement them without real namespaces. */
export type PodNamespaces = Pick<NamespaceHandles, Exclude<keyof NamespaceHandles, 'letGo'>>;

/** Lists inodes in the form of the links in /proc, `net:[4026531840]`. */
async function inodesInUse(): Promise<ReadonlySet<string>> {
  // If the process has ended, the link is gone.
  const links = await mapLimited(await processIds(), CONCURRENT_LOOKS, (pid) =>
    readlink(`/proc/${pid}/ns/net`).catch(() => ''),
  );
  return new Set(links);
}

/** Whether `path` is a network namespace in which a process is running. */
export async function isInhabited(path: string): Promise<boolean> {
  if (!(await isNamespace(path))) return false;
  const handle = await stat(path).catch(() => undefined);
  return handle !== undefined && (await inodesInUse()).has(`net:[${handle.ino}]`);
}

async function isNamespace(path: string): Promise<boolean> {
  try {
    return (await statfs(path)).type === NSFS_MAGIC;
  } catch {
    return false;
  }
}

/** Whether two paths lead to the same namespace; false when one of them does not exist. */
async function isSame(one: string, other: string): Promise<boolean> {
  try {
    const [a, b] = await Promise.all([stat(one), stat(other)]);
    return a.dev === b.dev && a.ino === b.ino;
  } catch {
    return false;
  }
}

/** Resolves symlinks, because a link to the run directory belongs to the same daemon as the directory. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}

/**
 * The directory in which `ip netns`, containerd and CRI-O keep named network namespaces, and in which agents in pods (Multus,
 * Cilium, meshnet) look for them. Agents that use /var/run find it too, because /var/run is a link to /run.
 */
export const NAMESPACE_DIRECTORY = '/run/netns';

/**
 * Makes the directory a shared mount. The caller holds a lock, as `ip netns` does. If two processes bound the directory at the
 * same time, the second mount would hide the mounts in the first.
 */
const SHARE =
  'mount --make-shared "$1" 2>/dev/null || { mount --rbind "$1" "$1" && mount --make-shared "$1"; }';

/**
 * Creates the directory, and makes sure that mounts in it appear in pods that mount it with HostToContainer. If the directory
 * is not on a shared mount, it becomes a shared mount itself, as with `ip netns add`. Mounts are shared by default only under
 * systemd.
 */
export async function shareDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o755 });
  if (await isOnSharedMount(directory)) return;
  const wait = ['--wait', String(MOUNT_TIMEOUT_MS / 1_000)];
  await run('flock', [...wait, directory, 'sh', '-c', SHARE, 'sh', directory], {
    timeout: 2 * MOUNT_TIMEOUT_MS,
  });
}

/** Asks the kernel for the mount of the open directory. A search by path would not notice when one mount hides another. */
async function isOnSharedMount(directory: string): Promise<boolean> {
  const handle = await open(directory);
  try {
    const info = await readFile(`/proc/self/fdinfo/${handle.fd}`, 'utf8');
    const id = /^mnt_id:\s*(\d+)$/m.exec(info)?.[1];
    const mounts = parseMountinfo(await readFile('/proc/self/mountinfo', 'utf8'));
    return mounts.find((mount) => mount.id === id)?.isShared ?? false;
  } finally {
    await handle.close();
  }
}
