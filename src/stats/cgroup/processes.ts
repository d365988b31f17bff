import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readText } from './held-files';

/** Groups nest a few deep where systemd runs in a container; more is not followed. */
const DEEPEST = 5;

/** Pids of all processes in a group and in the groups below it; undefined when it is gone. */
export async function processesBelow(directory: string, depth = 0): Promise<readonly number[] | undefined> {
  const text = await readText(join(directory, 'cgroup.procs'));
  if (text === undefined) return undefined;
  const own = text.split('\n').filter(Boolean).map(Number);
  if (depth === DEEPEST || !(await hasGroupsBelow(directory))) return own;
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  const all = [own];
  for (const entry of entries) {
    if (!entry.isDirectory()) continue;
    all.push([...((await processesBelow(join(directory, entry.name), depth + 1)) ?? [])]);
  }
  return all.flat();
}

/** Without listing some sixty files: a directory of cgroupfs has two links and one more a directory in it. */
async function hasGroupsBelow(directory: string): Promise<boolean> {
  return stat(directory).then(
    ({ nlink }) => nlink > 2,
    () => false,
  );
}
