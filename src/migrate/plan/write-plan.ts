import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoOf } from '../../lib/errors';
import { planMarkdown } from './markdown';
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

/** Writes a plan into a directory that is missing or empty, and nothing outside it. Only the owner can enter the directory. */
export async function writePlan(directory: string, plan: Plan): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  // plan.json comes last: a directory without it holds half a plan.
  for (const { path, text, mode } of outputFiles(plan)) {
    const target = join(directory, path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, text, { mode, flag: 'wx' });
  }
  await writeFile(join(directory, 'plan.md'), planMarkdown(plan), { mode: 0o644, flag: 'wx' });
  await writeFile(join(directory, 'plan.json'), planJson(plan), { mode: 0o644, flag: 'wx' });
}

/** Reads files of the node as they are, with secrets. Returns those that exist, by path. */
export async function readOriginals(root: string, paths: readonly string[]): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const path of new Set(paths)) {
    const text = await readFile(join(root, path), 'utf8').catch((error: unknown) => {
      if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return undefined;
      throw error;
    });
    if (text !== undefined) found.set(path, text);
  }
  return found;
}
