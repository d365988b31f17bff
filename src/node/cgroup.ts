import { readdir, readFile, stat } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { readText } from './disk/files';
import { parseMountinfo } from './mountinfo';

/** The place where a controller's tree is mounted, and the group that the mount shows as its root. */
export interface Hierarchy {
  readonly mountPoint: string;
  readonly root: string;
}

/**
 * The cgroup trees of this machine. A hybrid machine, which has its controllers on v1 and a v2 tree without controllers, counts
 * as v1.
 */
export type Hierarchies =
  | { readonly version: 2; readonly unified: Hierarchy }
  | { readonly version: 1; readonly controllers: ReadonlyMap<string, Hierarchy> };

/**
 * Finds the places where cgroup trees are mounted.
 * @param mountinfo text of /proc/self/mountinfo (proc(5)).
 * @returns undefined when no cgroup tree is mounted.
 */
export function findHierarchies(mountinfo: string): Hierarchies | undefined {
  const controllers = new Map<string, Hierarchy>();
  let unified: Hierarchy | undefined;
  for (const { type, mountPoint, root, superOptions } of parseMountinfo(mountinfo)) {
    const hierarchy = { mountPoint, root };
    if (type === 'cgroup2') unified ??= hierarchy;
    if (type !== 'cgroup') continue;
    // The controllers are among the options of the super block: `rw,cpu,cpuacct`.
    for (const option of superOptions.split(',')) {
      if (!controllers.has(option)) controllers.set(option, hierarchy);
    }
  }
  if (controllers.has('memory') || controllers.has('cpuacct')) return { version: 1, controllers };
  return unified === undefined ? undefined : { version: 2, unified };
}

/**
 * Finds the cgroup trees of this machine.
 * @param proc the path of /proc; tests replace it.
 */
export async function readHierarchies(proc = '/proc'): Promise<Hierarchies | undefined> {
  return findHierarchies(await readFile(join(proc, 'self/mountinfo'), 'utf8'));
}

/**
 * Parses the control groups of a process.
 * @param text of /proc/PID/cgroup.
 * @returns the group of each controller; that of cgroup v2 has the empty name.
 */
export function parseProcCgroup(text: string): Map<string, string> {
  const paths = new Map<string, string>();
  for (const line of text.split('\n')) {
    // A line is `4:cpu,cpuacct:/path` on v1 and `0::/path` on v2. The path itself may contain colons.
    const [, controllers = '', path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (path !== undefined) for (const name of controllers.split(',')) paths.set(name, path);
  }
  return paths;
}

/** A control group and the places of its files. */
export interface GroupPath {
  /** The kernel's name of the group, such as `/kubepods/…/<id>`. cAdvisor uses it as the label `id`. */
  readonly name: string;
  /** Returns the directory of a controller's files; undefined when the controller is not mounted. */
  directoryOf(controller: string): string | undefined;
  /** The directory in which the group's processes are listed. */
  readonly processDirectory: string | undefined;
  /** Returns the group above. For a container of a pod with a cgroup parent, this is the pod's own group. */
  parent(): GroupPath;
}

/**
 * Finds the group of a container in the text of /proc/<pid>/cgroup of its first process.
 * @param id full id of the container. The name of its group contains this id, so a reused pid is not mistaken for the
 * container's. The group is also found when the process moved into a group below it, as systemd does in a container.
 * @returns undefined when the process is not the container's.
 */
export function groupOfContainer(
  procCgroup: string,
  id: string,
  hierarchies: Hierarchies,
): GroupPath | undefined {
  const paths = new Map<string, string>();
  for (const [controller, path] of parseProcCgroup(procCgroup)) {
    const own = upToContainer(path, id);
    if (own !== undefined) paths.set(controller, own);
  }
  if (hierarchies.version === 2) {
    const path = paths.get('');
    return path === undefined ? undefined : groupAt(path, () => ({ hierarchy: hierarchies.unified, path }));
  }
  const name = paths.get('memory') ?? paths.get('cpuacct');
  if (name === undefined) return undefined;
  return groupAt(name, (controller) => {
    const [hierarchy, path] = [hierarchies.controllers.get(controller), paths.get(controller)];
    return hierarchy === undefined || path === undefined ? undefined : { hierarchy, path };
  });
}

type Place = (controller: string) => { hierarchy: Hierarchy; path: string } | undefined;

function groupAt(name: string, place: Place): GroupPath {
  const directoryOf = (controller: string): string | undefined => {
    const found = place(controller);
    return found && posix.join(found.hierarchy.mountPoint, below(found.path, found.hierarchy.root));
  };
  return {
    name,
    directoryOf,
    processDirectory: directoryOf('memory') ?? directoryOf('cpuacct'),
    parent: () =>
      groupAt(posix.dirname(name), (controller) => {
        const found = place(controller);
        return found && { ...found, path: posix.dirname(found.path) };
      }),
  };
}

/** Cuts off the path after the part that names the container, such as `/docker/<id>` or `/…/docker-<id>.scope`. */
function upToContainer(path: string, id: string): string | undefined {
  const parts = path.split('/');
  const at = parts.findIndex((part) => part.includes(id));
  return at === -1 ? undefined : parts.slice(0, at + 1).join('/');
}

/**
 * Returns the group's path below a mount that may show only a part (`root`) of the tree, as seen from our own cgroup namespace.
 */
function below(path: string, root: string): string {
  if (root === '/' || !(path === root || path.startsWith(`${root}/`))) return path;
  return path.slice(root.length);
}

/** Whether the cgroup path of `pid` names the container. Only the paths of the container's own processes do. */
export async function isInContainer(pid: number, containerId: string): Promise<boolean> {
  return (await readText(`/proc/${pid}/cgroup`))?.includes(containerId) ?? false;
}

/**
 * Lists a container's processes by the control group of one of them. The group is looked up once, at the first call.
 * @returns undefined when the group cannot be found, because the process has ended or cgroups are mounted elsewhere.
 */
export function cgroupMembers(pid: number, containerId: string): () => Promise<number[] | undefined> {
  let directory: Promise<string | undefined> | undefined;
  return async () => {
    directory ??= findDirectory(pid, containerId);
    const found = await directory;
    // If the group is gone, it has no members.
    return found === undefined ? undefined : ((await processesBelow(found)) ?? []);
  };
}

async function findDirectory(pid: number, containerId: string): Promise<string | undefined> {
  const hierarchies = await readHierarchies().catch(() => undefined);
  const text = (await readText(`/proc/${pid}/cgroup`)) ?? '';
  const group = hierarchies && groupOfContainer(text, containerId, hierarchies);
  const directory = group?.processDirectory;
  // If the mount shows only a part of the tree, it may hide processes of the container.
  const isWhole = directory !== undefined && (await processesBelow(directory))?.includes(pid) === true;
  return isWhole ? directory : undefined;
}

/**
 * Lists the pids in a group and in the groups below it (an init system inside a container makes some). This reads a few small
 * files instead of all of /proc.
 * @returns undefined when the group is gone.
 */
export async function processesBelow(directory: string): Promise<number[] | undefined> {
  const text = await readText(join(directory, 'cgroup.procs'));
  if (text === undefined) return undefined;
  const all = text.split('\n').filter(Boolean).map(Number);
  for (const below of await groupsBelow(directory)) all.push(...((await processesBelow(below)) ?? []));
  return all;
}

async function groupsBelow(directory: string): Promise<string[]> {
  try {
    // A directory of cgroupfs has two links and one more for each directory in it, so some sixty files need not be listed.
    if ((await stat(directory)).nlink === 2) return [];
    const entries = await readdir(directory, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(directory, name));
  } catch {
    return [];
  }
}
