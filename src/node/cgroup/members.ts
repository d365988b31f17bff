import { readText } from '../disk/read-text';
import { groupOfContainer } from './group-path';
import { readHierarchies } from './hierarchies';
import { processesBelow } from './processes';

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
