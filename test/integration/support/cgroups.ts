import { readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Removes the group `top` and all below it from every hierarchy; it must have no processes. */
export async function removeCgroups(top: string): Promise<void> {
  const hierarchies = await readdir('/sys/fs/cgroup');
  await Promise.all(hierarchies.map((hierarchy) => removeTree(join('/sys/fs/cgroup', hierarchy, top))));
  await removeTree(join('/sys/fs/cgroup', top));
}

async function removeTree(directory: string): Promise<void> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeTree(join(directory, entry.name));
  if (entries.length > 0) await rmdir(directory);
}
