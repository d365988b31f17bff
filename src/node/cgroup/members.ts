import { readText } from '../disk/files';
import { groupOfContainer, readHierarchies } from './group';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** Whether the cgroup path of `pid` names the container: true for each of its processes and for nobody else's. */
export async function isInContainer(pid: number, containerId: string): Promise<boolean> {
  return (await readText(`/proc/${pid}/cgroup`))?.includes(containerId) ?? false;
}

/**
 * Lists a container's processes by the control group that one of them is in. The group is looked up once, at the first
 * call.
 * @returns undefined where it cannot be seen: the process had ended, or cgroups are mounted elsewhere.
 */
export function cgroupMembers(pid: number, containerId: string): () => Promise<number[] | undefined> {
  let directory: Promise<string | undefined> | undefined;
  return async () => {
    directory ??= findDirectory(pid, containerId);
    const found = await directory;
    // A group that is gone has no members.
    return found === undefined ? undefined : ((await processesBelow(found)) ?? []);
  };
}

async function findDirectory(pid: number, containerId: string): Promise<string | undefined> {
  const hierarchies = await readHierarchies().catch(() => undefined);
  const text = (await readText(`/proc/${pid}/cgroup`)) ?? '';
  const group = hierarchies && groupOfContainer(text, containerId, hierarchies);
  const directory = group?.processDirectory;
  // A tree that shows less than all would hide processes.
  const isWhole = directory !== undefined && (await processesBelow(directory))?.includes(pid) === true;
  return isWhole ? directory : undefined;
}

/**
 * Pids of all processes in a group and in the groups below it (an init system inside a container makes some): a few
 * small files instead of all of /proc. Undefined when the group is gone.
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
    // Without listing some sixty files: a directory of cgroupfs has two links and one more a directory in it.
    if ((await stat(directory)).nlink === 2) return [];
    const entries = await readdir(directory, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(directory, name));
  } catch {
    return [];
  }
}
