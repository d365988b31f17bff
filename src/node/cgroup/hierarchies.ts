import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseMountinfo } from '../mountinfo';

/** Where a controller's tree is mounted, and which group of it the mount shows as its top. */
export interface Hierarchy {
  readonly mountPoint: string;
  readonly root: string;
}

/**
 * The cgroup trees of this machine. A hybrid machine, whose controllers are on v1 and whose v2 tree has none, counts
 * as v1.
 */
export type Hierarchies =
  | { readonly version: 2; readonly unified: Hierarchy }
  | { readonly version: 1; readonly controllers: ReadonlyMap<string, Hierarchy> };

/** @param mountinfo text of /proc/self/mountinfo (proc(5)). @returns undefined when no cgroup tree is mounted. */
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

/** The same from this machine's own mounts. @param proc where /proc is; tests have their own. */
export async function readHierarchies(proc = '/proc'): Promise<Hierarchies | undefined> {
  return findHierarchies(await readFile(join(proc, 'self/mountinfo'), 'utf8'));
}
