import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { mkdir, open, readFile, readlink, rm, stat, statfs } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { isInContainer } from '../cgroup/members';
import { mapLimited } from '../../lib/async/concurrency';
import { isDiskTrouble, listDirectory } from '../disk/files';
import { errnoOf, failedPrecondition } from '../../lib/errors';
import { parseMountinfo } from '../mountinfo';
import { processIds } from '../process/process-info';

const run = promisify(execFile);
const MOUNT_TIMEOUT_MS = 10_000;
const CONCURRENT_LOOKS = 16;
/** `f_type` of a namespace file. */
const NSFS_MAGIC = 0x6e736673;

/** The names of all daemons' handles: the mark says which daemon it is. */
const NAME = /^cni-dockbridge-[0-9a-f]{8}-(.+)$/;

/** Where a daemon's handles are. */
export interface HandlePlaces {
  /** Shared with other daemons and other programs. */
  readonly directory: string;
  /** What the names of this daemon's handles begin with. */
  readonly prefix: string;
  /** Where earlier versions kept handles, named by the sandbox alone: those of running pods stay there until they end. */
  readonly former: string;
}

/**
 * Names for pods' network namespaces that neither end with the pod's processes nor ever mean another namespace:
 * `/proc/<pid>/ns/net` bound to a file. Plugins get only these, so a reused pid cannot lead them to the node's own.
 */
export class NamespaceHandles {
  private isShared = false;

  constructor(private readonly places: HandlePlaces) {}

  /**
   * Those of the daemon with this run directory, which no two daemons share. Synchronous: for the start.
   * @param directory tests have one of their own.
   */
  static of(runDir: string, directory = NAMESPACE_DIRECTORY): NamespaceHandles {
    const mark = createHash('sha256').update(realPath(runDir)).digest('hex').slice(0, 8);
    return new NamespaceHandles({
      directory,
      prefix: `cni-dockbridge-${mark}-`,
      former: join(runDir, 'netns'),
    });
  }

  /** Where the handle of a new sandbox will be. */
  pathOf(sandboxId: string): string {
    return join(this.places.directory, this.places.prefix + sandboxId);
  }

  /** Whether the path is one of ours, of this or of an earlier run. */
  owns(path: string): boolean {
    const { directory, prefix, former } = this.places;
    return path.startsWith(join(directory, prefix)) || path.startsWith(`${former}/`);
  }

  /** Makes the directory, so that agents in pods can mount it before there is a handle in it. */
  async prepare(): Promise<void> {
    const made = await mkdir(this.places.directory, { recursive: true, mode: 0o755 });
    if (this.isShared && made === undefined) return;
    await shareDirectory(this.places.directory);
    this.isShared = true;
  }

  /**
   * Binds the namespace of a running sandbox, or finds it bound.
   * @throws FAILED_PRECONDITION when the process is not the sandbox's, or lives in the node's own namespace.
   */
  async hold(sandboxId: string, pid: number): Promise<string> {
    const source = `/proc/${pid}/ns/net`;
    const held = await this.heldPath(sandboxId);
    if (held !== '') {
      if (await isSame(held, source)) return held;
      // Left by an earlier life of this container: its namespace is gone, or about to go.
      await this.release(sandboxId);
    }
    await this.prepare();
    const path = this.pathOf(sandboxId);
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

  /** Its handle, '' when its namespace is not held. */
  async heldPath(sandboxId: string): Promise<string> {
    for (const path of this.pathsOf(sandboxId)) if (await isNamespace(path)) return path;
    return '';
  }

  /** Whether there is a handle of the namespace that `pid` is in. */
  async isOf(sandboxId: string, pid: number): Promise<boolean> {
    return isSame(await this.heldPath(sandboxId), `/proc/${pid}/ns/net`);
  }

  /** Lets the namespace go; absent is success. */
  async release(sandboxId: string): Promise<void> {
    for (const path of this.pathsOf(sandboxId)) {
      // One on top of another, if a daemon died in between.
      while (await isNamespace(path)) await run('umount', ['-l', path], { timeout: MOUNT_TIMEOUT_MS });
      // On a disk that takes no change, and below a mount that hides it, the file stays until the next start finds it
      // among the handles.
      await rm(path, { force: true }).catch((error: unknown) => {
        if (!isDiskTrouble(error) && errnoOf(error) !== 'EBUSY') throw error;
      });
    }
  }

  /** Sandboxes in whose namespaces processes live, whatever the Engine says of them: one look through /proc. */
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

  /** Releases all. @returns whose they were. */
  async letGo(): Promise<readonly string[]> {
    const ids = await this.list();
    for (const id of ids) await this.release(id);
    return ids;
  }

  /** Sandboxes with a handle of this daemon. */
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

/** The sandbox that a handle is for, by its path; undefined when no dockbridge made it. */
export function holderOf(path: string): string | undefined {
  return NAME.exec(basename(path))?.[1];
}

/** What a network needs of them: tests have no namespaces. */
export type PodNamespaces = Pick<NamespaceHandles, Exclude<keyof NamespaceHandles, 'letGo'>>;

/** As the links below /proc write them: `net:[4026531840]`. */
async function inodesInUse(): Promise<ReadonlySet<string>> {
  // A process that has ended has no link any more.
  const links = await mapLimited(await processIds(), CONCURRENT_LOOKS, (pid) =>
    readlink(`/proc/${pid}/ns/net`).catch(() => ''),
  );
  return new Set(links);
}

/** Whether `path` names a network namespace in which a process lives. */
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

/** Two names of one namespace; false when either does not exist. */
async function isSame(one: string, other: string): Promise<boolean> {
  try {
    const [a, b] = await Promise.all([stat(one), stat(other)]);
    return a.dev === b.dev && a.ino === b.ino;
  } catch {
    return false;
  }
}

/** A link to the run directory means the same daemon. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}

/**
 * Where `ip netns`, containerd and CRI-O name network namespaces, so where agents in pods (Multus, Cilium, meshnet) look
 * for them. /var/run is a link to /run wherever it matters.
 */
export const NAMESPACE_DIRECTORY = '/run/netns';

/** Under a lock, as `ip netns` does it: of two that bind at a time, one would hide what the other mounts below. */
const SHARE =
  'mount --make-shared "$1" 2>/dev/null || { mount --rbind "$1" "$1" && mount --make-shared "$1"; }';

/**
 * Makes the directory, and makes sure that what is mounted in it appears in pods that have mounted it with
 * HostToContainer. Where it lies on no shared mount (systemd makes all of them shared, nobody else does), it becomes one of
 * its own, as `ip netns add` makes it.
 */
export async function shareDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o755 });
  if (await isOnSharedMount(directory)) return;
  const wait = ['--wait', String(MOUNT_TIMEOUT_MS / 1_000)];
  await run('flock', [...wait, directory, 'sh', '-c', SHARE, 'sh', directory], {
    timeout: 2 * MOUNT_TIMEOUT_MS,
  });
}

/** The kernel says which mount an open directory is on; paths alone do not, where one mount hides another. */
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
