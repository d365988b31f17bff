import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readText } from '../disk/read-text';

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
