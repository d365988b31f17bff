import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readText } from '../disk/files';
import { groupOfContainer, readHierarchies } from './group';

/** Whether the cgroup path of `pid` names the container, which it does only for the container's processes. */
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
    // A group that is gone has no members.
    return found === undefined ? undefined : ((await processesBelow(found)) ?? []);
  };
}

async function findDirectory(pid: number, containerId: string): Promise<string | undefined> {
  const hierarchies = await readHierarchies().catch(() => undefined);
  const text = (await readText(`/proc/${pid}/cgroup`)) ?? '';
  const group = hierarchies && groupOfContainer(text, containerId, hierarchies);
  const directory = group?.processDirectory;
  // A mount that shows only a part of the tree would hide processes.
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
