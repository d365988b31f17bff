import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { groupOfContainer } from './group-path';
import { readHierarchies } from './hierarchies';

/**
 * Lists a container's processes by the control group that one of them is in, with the groups below it (an init system
 * inside makes some): a few small files instead of all of /proc. The group is looked up once, at the first call.
 * @returns undefined where it cannot be seen: the process had ended, or cgroups are mounted elsewhere.
 */
export function cgroupMembers(pid: number, containerId: string): () => Promise<number[] | undefined> {
  let directory: Promise<string | undefined> | undefined;
  return async () => {
    directory ??= findDirectory(pid, containerId);
    const found = await directory;
    return found === undefined ? undefined : membersBelow(found);
  };
}

async function findDirectory(pid: number, containerId: string): Promise<string | undefined> {
  const hierarchies = await readHierarchies().catch(() => undefined);
  const text = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '');
  const group = hierarchies && groupOfContainer(text, containerId, hierarchies);
  const directory = group?.directoryOf('memory') ?? group?.directoryOf('cpuacct');
  // A tree that shows less than all would hide processes.
  const isWhole = directory !== undefined && (await membersBelow(directory)).includes(pid);
  return isWhole ? directory : undefined;
}

async function membersBelow(directory: string): Promise<number[]> {
  const [own, entries] = await Promise.all([
    readFile(join(directory, 'cgroup.procs'), 'utf8').catch(() => ''),
    readdir(directory, { withFileTypes: true }).catch(() => []),
  ]);
  const pids = own.split('\n').filter((line) => line !== '');
  const below = entries.filter((entry) => entry.isDirectory());
  const more = await Promise.all(below.map(({ name }) => membersBelow(join(directory, name))));
  return [...pids.map(Number), ...more.flat()];
}
