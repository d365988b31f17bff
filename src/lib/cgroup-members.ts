import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

const CGROUP_ROOT = '/sys/fs/cgroup';

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
  const groups = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '');
  for (const directory of cgroupDirectories(groups, containerId)) {
    if ((await membersBelow(directory)).includes(pid)) return directory;
  }
  return undefined;
}

/**
 * Where a container's own groups are, by the text of `/proc/<pid>/cgroup`: a line is `number:controllers:path`; without
 * controllers it is of version 2. Named hierarchies are passed over.
 */
export function cgroupDirectories(text: string, containerId: string): string[] {
  return text.split('\n').flatMap((line) => {
    const [, controllers = '', ...rest] = line.split(':');
    const parts = rest.join(':').split('/');
    const own = parts.findIndex((part) => part.includes(containerId));
    if (own < 0 || controllers.startsWith('name=')) return [];
    return [join(CGROUP_ROOT, controllers, ...parts.slice(0, own + 1))];
  });
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
