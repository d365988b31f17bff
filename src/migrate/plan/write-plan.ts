import { chmod, mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { errnoOf, messageOf } from '../../lib/errors';
import { SmallFile } from '../../node/disk/files';
import { NodeRoot } from '../gather/node-root';
import { planMarkdown } from './markdown';
import type { Permissions } from './node-file';
import type { Plan } from './plan';
import { outputFiles, planJson } from './plan-json';

/** Throws an Error unless a directory is missing or empty. */
export async function checkEmpty(directory: string): Promise<void> {
  const names = await readdir(directory).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return [];
    if (errnoOf(error) === 'ENOTDIR') throw new Error(`${directory} is a file: name a directory`);
    throw error;
  });
  if (names.length > 0) throw new Error(`${directory} is not empty: name a new directory`);
}

/**
 * Writes a plan into a directory that is missing or empty, and nothing outside it. Only the owner can enter the directory.
 * @throws Error when the directory belongs to another user, who could read the secrets of the plan.
 */
export async function writePlan(directory: string, plan: Plan): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const { uid } = await stat(directory);
  if (uid !== process.geteuid?.())
    throw new Error(`${directory} belongs to the user ${uid}: name a directory of your own, or a new one`);
  // mkdir leaves the mode of a directory that exists as it is.
  await chmod(directory, 0o700);
  // plan.json comes last: a directory without it holds half a plan.
  for (const { path, text, mode } of outputFiles(plan)) {
    const target = join(directory, path);
    if (relative(directory, target).startsWith('..'))
      throw new Error(`the plan would write ${target}, which is outside ${directory}`);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, text, { mode, flag: 'wx' });
  }
  await writeFile(join(directory, 'plan.md'), planMarkdown(plan), { mode: 0o644, flag: 'wx' });
  await writeFile(join(directory, 'plan.json'), planJson(plan), { mode: 0o644, flag: 'wx' });
}

/** A configuration file is far smaller. */
const MAX_FILE_BYTES = 1 << 20;

/**
 * Reads files of the node as they are, with secrets. Links are followed below the root, as the inventory does. Returns the files
 * that exist, by path.
 * @param optional files that are skipped when they cannot be read.
 * @throws Error with the path when another file exists and cannot be read.
 */
export async function readOriginals(
  root: string,
  paths: readonly string[],
  optional: readonly string[] = [],
): Promise<Map<string, string>> {
  const node = new NodeRoot(root);
  const found = new Map<string, string>();
  for (const path of new Set([...paths, ...optional])) {
    try {
      found.set(path, await new SmallFile(await node.locate(path), MAX_FILE_BYTES).text());
    } catch (error) {
      if (optional.includes(path) || ['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) continue;
      throw new Error(`the plan needs ${path}, which cannot be read: ${messageOf(error)}`, { cause: error });
    }
  }
  return found;
}

/** Reads the permissions of files of the node. Files that do not exist have none. */
export async function readPermissions(
  root: string,
  paths: readonly string[],
): Promise<Map<string, Permissions>> {
  const node = new NodeRoot(root);
  const found = new Map<string, Permissions>();
  for (const path of new Set(paths)) {
    const info = await node
      .locate(path)
      .then((place) => stat(place))
      .catch(() => undefined);
    if (info !== undefined) found.set(path, { mode: info.mode & 0o777, uid: info.uid, gid: info.gid });
  }
  return found;
}
