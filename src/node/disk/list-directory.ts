import { readdir } from 'node:fs/promises';
import { errnoOf } from '../../lib/errors';

/** Empty for a directory that does not exist or is none. */
export async function listDirectory(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return [];
    throw error;
  }
}
